# Each request waits a day to be decided and eight hours to be used, unless it says otherwise.

scope "ledger-read" {
  description = "The ledger, to read"
  system      = "payments"
  environment = "prod"
  owners      = "payments-leads"

  break_glass {
    announce   = ["security", "payments-leads"]
    review_ttl = "24h"
  }

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-ledger-read"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}

scope "ledger-admin" {
  description = "The ledger, everything"
  system      = "payments"
  environment = "prod"
  owners      = "payments-leads"

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-ledger-admin"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}

scope "ledger-close" {
  description = "The end of the month"
  system      = "payments"
  environment = "prod"
  owners      = "payments-leads"

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-ledger-close"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}

scope "payments-deploy" {
  description = "Roll out the payments service"
  system      = "payments"
  environment = "prod"
  owners      = "platform-leads"

  break_glass {
    announce = ["platform-leads"]
  }

  aws {
    role_arn       = "arn:aws:iam::123456789012:role/jit-payments-deploy"
    region         = "eu-west-1"
    session_policy = { Statement = [{ Effect = "Allow", Action = "rds-db:connect", Resource = "*" }] }
  }
}
