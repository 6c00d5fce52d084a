scope "db-read" {
  description = "Read the database"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  aws {
    role_arn       = "arn:aws:iam::1234:role/jit-db"
    region         = "Ireland"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}

scope "gov-read" {
  description = "Read the database"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "us-gov-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}
