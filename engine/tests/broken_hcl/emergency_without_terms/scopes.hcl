scope "db-read" {
  description = "Read the database"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  break_glass {
    review_ttl = "72h"
  }

  escalation {
    after = "0s"
    to    = ["leads"]
  }

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}
