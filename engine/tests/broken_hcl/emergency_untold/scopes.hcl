scope "db-read" {
  description = "Read the database"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  break_glass {
    announce   = []
    review_ttl = "31d"
  }

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}
