group "leads" {} # ‮ }{ "toor" resu
