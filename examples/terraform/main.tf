# An engineer on call resizes the payments database: the plan reads with a scope that needs nobody, the apply writes with
# one that an owner and someone from security have to agree to.

terraform {
  required_version = ">= 1.10"
  required_providers {
    writ = {
      source = "writ.internal/writ/writ"
    }
  }
}

# The broker and the token come from WRIT_ADDR and WRIT_TOKEN_FILE.
provider "writ" {}

variable "ticket" {
  description = "The incident's ticket: the approvers read it, and the policy for production asks for one."
  type        = string
  default     = "INC-42"
}

variable "instance_class" {
  description = "How large the payments database is to be."
  type        = string
  default     = "db.r6g.large"
}

variable "endpoint" {
  description = "Where AWS is; `writ dev` stands in for it."
  type        = string
}

ephemeral "writ_aws_credentials" "db" {
  scope    = terraform.applying ? "prod-admin" : "prod-db-read"
  duration = "30m"
  reason   = "${var.ticket}: the payments database is to be ${var.instance_class}"
  ticket   = var.ticket
  applying = terraform.applying
}

# Stands where `provider "aws"` would, and takes the same arguments.
module "aws" {
  source = "./aws"

  region     = ephemeral.writ_aws_credentials.db.region
  access_key = ephemeral.writ_aws_credentials.db.access_key
  secret_key = ephemeral.writ_aws_credentials.db.secret_key
  token      = ephemeral.writ_aws_credentials.db.token

  endpoint       = var.endpoint
  instance_class = var.instance_class
}
