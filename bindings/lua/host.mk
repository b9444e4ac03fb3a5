##@ Lua

.PHONY: lua
lua: lib ## Put keygate.lua, for nginx-lua, into target/lua
	bindings/lua/build.sh

.PHONY: test-lua
test-lua: lua ## Lua: what only nginx-lua can get wrong, then what is asked of every host
	KEYGATE_HOSTS=lua tests/hosts/run.sh requirements.txt test_lua.py
	$(MAKE) test-hosts test-sdk KEYGATE_HOSTS=lua

.PHONY: demo-lua
demo-lua: lua ## The guide to 401 with nginx-lua: its commands and their answers
	@.ci/packages nginx libnginx-mod-http-lua curl python3
	@tests/hosts/guide.py lua

.PHONY: bench-lua
bench-lua: lua ## Measure the gate beside a check by hand; write its README's table
	@.ci/packages nginx libnginx-mod-http-lua python3
	tests/figures.py table bindings/lua/README.md bindings/lua/bench.py
