group "leads" {
  groups = ["staff"]
}

group "staff" {
  groups = ["all"]
}

group "all" {
  groups = ["leads"]
}

user "mia" {
  name   = "Mia"
  groups = ["leads"]

  identity {
    issuer = "corp"
    id     = "1"
  }
}
