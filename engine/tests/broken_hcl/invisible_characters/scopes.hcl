scope "db​-read" {}
