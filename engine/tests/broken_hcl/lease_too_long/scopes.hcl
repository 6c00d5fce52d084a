scope "db-read" {
  description = "Read the database"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "eu-west-1"
    lease          = "2h"
    max_session    = "1h"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}
