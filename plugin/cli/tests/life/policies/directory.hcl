timezone = "UTC"

group "engineering" {
  description = "Engineering"
}

group "oncall" {
  description = "Oncall"
}

group "leads" {
  description = "Leads"
}

group "security" {
  description = "Security"
}

group "auditors" {
  description = "Auditors"
}

user "mia" {
  name    = "Mia"
  manager = "pat"
  groups  = ["engineering"]

  identity {
    issuer = "corp"
    id     = "00u1mia"
  }
}

user "pat" {
  name   = "Pat"
  groups = ["leads"]

  identity {
    issuer = "corp"
    id     = "00u2pat"
  }
}

user "lee" {
  name    = "Lee"
  manager = "pat"
  groups  = ["leads"]

  identity {
    issuer = "corp"
    id     = "00u3lee"
  }
}

user "sam" {
  name    = "Sam"
  manager = "pat"
  groups  = ["oncall", "engineering"]

  identity {
    issuer = "corp"
    id     = "00u4sam"
  }
}

user "zoe" {
  name   = "Zoe"
  groups = ["security"]

  identity {
    issuer = "corp"
    id     = "00u5zoe"
  }
}

user "kim" {
  name    = "Kim"
  manager = "zoe"
  groups  = ["security", "oncall"]

  identity {
    issuer = "corp"
    id     = "00u6kim"
  }
}

user "audrey" {
  name   = "Audrey"
  groups = ["auditors"]

  identity {
    issuer = "corp"
    id     = "00u8audrey"
  }
}
