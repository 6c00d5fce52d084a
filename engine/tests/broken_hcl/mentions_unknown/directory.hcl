group "leads" {}

user "mia" {
  name    = "Mia"
  manager = "patt"
  groups = ["leads", "enginering"]

  identity {
    issuer = "corp"
    id     = "1"
  }
}

group "engineering" {
  groups = ["every-one"]
}

user "pat" {
  name = "Pat"
}

workload "ci" {
  owner = "nobody"

  identity {
    issuer        = "github"
    repository_id = "1"
  }
}
