scope "db-read" {
  description = "Read the database"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  break_glass {
    announce = ["leads", "leeds"]
    notify   = "leads"
  }

  escalation {
    to = "leeds"
  }

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}
