{ "includes": ["native/millrace.gypi"] }
