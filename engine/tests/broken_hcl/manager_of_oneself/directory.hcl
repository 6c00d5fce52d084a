group "leads" {}

user "mia" {
  name    = "Mia"
  manager = "mia"
  groups = ["leads"]

  identity {
    issuer = "corp"
    id     = "1"
  }
}
