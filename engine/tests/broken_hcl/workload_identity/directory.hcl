group "leads" {}

user "mia" {
  name   = "Mia"
  groups = ["leads"]

  identity {
    issuer = "corp"
    id     = "1"
  }
}

workload "ci" {
  owner = "mia"

  identity {
    issuer            = "github"
    repository_id     = "acme/payments"
    repository_ownerid = "77"
  }
}

workload "cd" {
  owner = "mia"
}

workload "cron" {
  owner = "mia"

  identity {
    issuer        = "github"
    repository_id = "2"
  }

  identity {
    issuer        = "github"
    repository_id = "3"
  }
}
