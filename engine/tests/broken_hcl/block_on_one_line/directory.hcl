group "leads" { description = "Those who lead"  groups = [] }
