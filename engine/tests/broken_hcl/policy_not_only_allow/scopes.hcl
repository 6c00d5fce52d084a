scope "db-read" {
  description = "Read the database"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Deny", Action = "rds-db:connect", Resource = "*" }] }
  }
}

scope "all-but" {
  description = "Read the database"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", NotAction = "rds-db:connect", Resource = "*" }] }
  }
}

scope "for-all" {
  description = "Read the database"
  system      = "payments"
  environment = "prod"
  owners      = "leads"

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-db"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*", Principal = "*" }] }
  }
}
