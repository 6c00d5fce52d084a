group "leads" {}

user "mia" {
  name   = "Mia"
  groups = ["leads"]

  identity {
    issuer = "corp"
    id     = " 1"
  }
}

user "pat" {
  name = "Pat"

  identity {
    issuer = "the corp"
    id     = "Pät"
  }
}
