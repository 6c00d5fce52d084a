timezone = "Europe/Dublin"

group "leads" {
  description = "Those who lead"
  groups      = ["everyone"]
}

group "everyone" {}

user "mia" {
  name    = "Mia Ahmed"
  manager = "pat"
  groups  = ["leads"]

  identity {
    issuer = "corp"
    id     = "00u1a2b3"
  }

  # The same id at another issuer is another identity.
  identity {
    issuer = "partner"
    id     = "00u1a2b3"
  }
}

user "pat" { name = "Pat" }

workload "payments-ci" {
  owner  = "pat"
  groups = ["everyone"]

  identity {
    issuer              = "github"
    repository_id       = "4201"
    repository_owner_id = "77"
    ref                 = "refs/heads/main"
  }
}
