group "leads" {}

user "mia" {
  name   = "Mia"
  groups = ["leads"]

  identity {
    issuer = "corp"
    id     = "1"
  }
}

user "pat" {
  name = "Pat"

  identity {
    issuer = "corp"
    id     = "1"
  }
}

workload "ci" {
  owner = "pat"

  identity {
    issuer        = "corp"
    repository_id = "1"
  }
}
