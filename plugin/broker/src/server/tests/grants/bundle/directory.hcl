# Who there is.

group "engineering" {
  description = "Everyone who builds and runs the product"
}

group "oncall" {
  description = "Who carries the pager this week"
  groups      = ["engineering"]
}

group "payments-leads" {
  description = "Answer for the ledger"
  groups      = ["engineering"]
}

group "platform-leads" {
  description = "Answer for what all systems run on"
  groups      = ["engineering"]
}

group "security" {
  description = "The security team"
}

group "deputies" {
  description = "To whom a lead may lend the right to approve"
}

group "duty" {
  description = "May consent to an hour, and see everything"
}

group "auditors" {
  description = "May see everything, and ask for nothing"
}

group "pipelines" {
  description = "CI jobs"
}

user "mia" {
  name    = "Mia Ahmed"
  manager = "pat"
  groups  = ["engineering", "deputies"]

  identity {
    issuer = "corp"
    id     = "00u1mia"
  }

  identity {
    issuer = "corp"
    id     = "00u1mia-home"
  }
}

user "pat" {
  name   = "Pat Byrne"
  groups = ["payments-leads", "platform-leads"]

  identity {
    issuer = "corp"
    id     = "00u2pat"
  }

  identity {
    issuer = "corp"
    id     = "00u2pat-home"
  }
}

user "lee" {
  name    = "Lee Novak"
  manager = "pat"
  groups  = ["payments-leads", "deputies"]

  identity {
    issuer = "corp"
    id     = "00u3lee"
  }
}

user "sam" {
  name    = "Sam Okafor"
  manager = "pat"
  groups  = ["oncall"]

  identity {
    issuer = "corp"
    id     = "00u4sam"
  }
}

user "zoe" {
  name   = "Zoe Lindqvist"
  groups = ["security"]

  identity {
    issuer = "corp"
    id     = "00u5zoe"
  }
}

user "kim" {
  name    = "Kim Tanaka"
  manager = "zoe"
  groups  = ["security", "payments-leads"]

  identity {
    issuer = "corp"
    id     = "00u6kim"
  }
}

user "dana" {
  name    = "Dana Silva"
  manager = "zoe"
  groups  = ["engineering", "deputies"]

  identity {
    issuer = "corp"
    id     = "00u7dana"
  }
}

user "audrey" {
  name   = "Audrey Martin"
  groups = ["auditors"]

  identity {
    issuer = "corp"
    id     = "00u8audrey"
  }
}

user "rob" {
  name   = "Rob Quist"
  groups = ["duty"]

  identity {
    issuer = "corp"
    id     = "00u9rob"
  }
}

workload "payments-ci" {
  owner  = "lee"
  groups = ["pipelines"]

  identity {
    issuer              = "github"
    repository_id       = "4201"
    repository_owner_id = "77"
  }
}
