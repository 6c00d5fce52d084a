# Everything that may be written, once.
scope "db-read" {
  description    = "Read the database" // a comment
  system         = "payments" /* another */
  environment    = "prod"
  owners         = "leads"
  request_ttl    = "30d"
  activation_ttl = "1d12h30m5s"

  break_glass {
    announce   = ["leads"]
    review_ttl = "30d"
  }

  escalation {
    after = "1s"
    to    = "leads"
  }

  aws {
    role_arn    = "arn:aws:iam::123456789012:role/path/jit-db"
    region      = "eu-west-1"
    max_session = "12h"
    lease       = "15m"

    session_policy = {
      Version = "2012-10-17"
      Statement = [
        {
          Effect   = "Allow"
          Action   = ["rds-db:connect", "s3:Get*"]
          Resource = ["arn:aws:s3:::logs/$${aws:PrincipalTag/team}/*", "*"]
          Condition = {
            "StringEqualsIfExists"            = { "aws:RequestedRegion" = ["eu-west-1", "eu-west-2"] }
            "ForAllValues:StringLike"         = { "aws:TagKeys" : "writ:*" }
            Bool                              = { "aws:SecureTransport" = true }
            NumericLessThan                   = { "s3:max-keys" = 10 }
            DateLessThan                      = { "aws:TokenIssueTime" = "2030-01-01T00:00:00Z" }
          }
        },
      ]
    }
  }
}
