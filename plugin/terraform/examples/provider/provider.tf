terraform {
  required_version = ">= 1.10"
  required_providers {
    writ = {
      source = "writ.internal/writ/writ"
    }
  }
}

# The token comes from WRIT_TOKEN, WRIT_TOKEN_FILE or the CI system itself.
provider "writ" {
  address = "https://writ.example.com:8443"
}
