scope "db-read" {}
