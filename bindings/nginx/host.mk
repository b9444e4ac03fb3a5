##@ nginx

.PHONY: nginx
nginx: lib ## Build target/nginx/ngx_http_keygate_module.so for Debian's nginx
	bindings/nginx/build.sh

.PHONY: test-nginx
test-nginx: nginx ## nginx: the vectors, other modules, reloads under load
	KEYGATE_HOSTS=nginx tests/hosts/run.sh requirements.txt test_nginx.py test_nginx_entries.py test_nginx_headers.py \
		test_nginx_vectors.py test_nginx_reload.py

.PHONY: demo-nginx
demo-nginx: nginx ## The guide to 401 with nginx: its commands and their answers
	@.ci/packages nginx curl python3
	@tests/hosts/guide.py nginx
