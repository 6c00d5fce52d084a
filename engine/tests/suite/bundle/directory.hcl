group "engineering" {
  description = "Builds the shop"
}

group "oncall" {
  description = "Carries the pager"
  groups      = ["engineering"]
}

user "mia" {
  name    = "Mia"
  manager = "pat"
  groups  = ["engineering"]
}

user "pat" {
  name   = "Pat"
  groups = ["engineering"]
}

user "sam" {
  name    = "Sam"
  manager = "pat"
  groups  = ["oncall"]
}

workload "shop-ci" {
  owner  = "pat"
  groups = []

  identity {
    issuer              = "github"
    repository_id       = "7"
    repository_owner_id = "77"
  }
}
