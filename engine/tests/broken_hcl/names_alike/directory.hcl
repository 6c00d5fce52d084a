group "leads" {}

user "mia" {
  name   = "Mia"
  groups = ["leads"]

  identity {
    issuer = "corp"
    id     = "1"
  }
}

user "Mia" {
  name = "Mia"
}

group "Leads" {}

workload "mia" {
  owner = "mia"

  identity {
    issuer        = "github"
    repository_id = "1"
  }
}
