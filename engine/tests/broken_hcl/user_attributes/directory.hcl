group "leads" {}

user "mia" {
  name   = "Mia"
  groups = ["leads"]

  attributes {
    level   = 2.5
    manager = "pat"
    badges  = [1, 2]
    home    = { city = "Dublin" }
  }

  identity {
    issuer = "corp"
    id     = "1"
  }
}
