timezone = "Europe/Dubln"

group "leads" {}

user "mia" {
  name   = "Mia"
  groups = ["leads"]

  identity {
    issuer = "corp"
    id     = "1"
  }
}
