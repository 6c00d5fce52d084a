# One question about access, for the tests of this example.

terraform {
  required_providers {
    writ = {
      source = "writ.internal/writ/writ"
    }
  }
}

variable "scope" {
  type = string
}

variable "duration" {
  type = string
}

variable "ticket" {
  type    = string
  default = null
}

data "writ_access_decision" "this" {
  scope    = var.scope
  duration = var.duration
  ticket   = var.ticket
}
