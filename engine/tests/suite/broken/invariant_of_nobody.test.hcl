at = "2026-11-20T09:00:00Z"

invariant "of nobody" {
  who     = ["mia"]
  except  = ["group:engineering"]
  longest = "1h"
}
