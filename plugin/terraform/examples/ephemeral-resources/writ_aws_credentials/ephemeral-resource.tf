# Asks for reading while it plans and for writing only while it applies: the approvers are asked once, about the change.
ephemeral "writ_aws_credentials" "db" {
  scope    = terraform.applying ? "prod-db-write" : "prod-db-read"
  duration = "45m"
  reason   = "INC-42: resize the payments database"
  applying = terraform.applying
}

provider "aws" {
  region     = ephemeral.writ_aws_credentials.db.region
  access_key = ephemeral.writ_aws_credentials.db.access_key
  secret_key = ephemeral.writ_aws_credentials.db.secret_key
  token      = ephemeral.writ_aws_credentials.db.token
}
