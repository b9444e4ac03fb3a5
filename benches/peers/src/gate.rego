package gate

default allow := false

allow if input.method == "OPTIONS"

allow if data.mode == "off"

allow if {
	data.mode == "all_except_health"
	input.method in {"GET", "HEAD"}
	split(split(input.target, "?")[0], "#")[0] in data.exempt
}

allow if credential in data.keys

credential := trim_prefix(value, "Bearer ") if deciding.bearer

credential := value if not deciding.bearer

deciding := present[0]

value := trim(deciding.value, " \t")
