group "leads" {
  groups = ["everyone"]
}

group "everyone" {}

# A job is in it, and nobody whom one could tell.
group "strangers" {}

group "absent" {}

user "pat" {
  name   = "Pat"
  groups = ["leads"]
}

workload "payments-ci" {
  owner  = "pat"
  groups = ["strangers"]

  identity {
    issuer              = "github"
    repository_id       = "4201"
    repository_owner_id = "77"
  }
}
