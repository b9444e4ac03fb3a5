/*
 * keygate for nginx: each request is put to the library in the access phase, and what the library
 * says is carried out. Nothing is decided here.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <keygate.h>


#define NGX_HTTP_KEYGATE_FILE_MAX  (16 << 20)
#define NGX_HTTP_KEYGATE_FEW       32
#define NGX_HTTP_KEYGATE_CODES     512
#define NGX_HTTP_KEYGATE_TEXT      256
#define NGX_HTTP_KEYGATE_STRIPS    3

/* the length of its name, as keygate_policy_name_lengths has them */
#define NGX_HTTP_KEYGATE_CONNECTION                                           \
    ((uint64_t) 1 << (sizeof("Connection") - 1))


/* The text of a key or of a key file, wiped once the policies are made. */
typedef struct ngx_http_keygate_secret_s  ngx_http_keygate_secret_t;

struct ngx_http_keygate_secret_s {
    ngx_http_keygate_secret_t  *next;
    size_t                      len;
    u_char                      data[1];
};


/* Where a directive stands: a policy is made, and its errors found, after all of them are read. */
typedef struct {
    ngx_str_t                   directive;
    ngx_str_t                   file;
    ngx_uint_t                  line;
} ngx_http_keygate_place_t;


typedef struct {
    ngx_array_t                 entries;
    ngx_array_t                 places;     /* of each entry */
} ngx_http_keygate_list_t;


/* What decides comes first: two policies that differ in the rest alone decide alike. */
typedef struct {
    ngx_int_t                   mode;
    ngx_flag_t                  lan;
    ngx_int_t                   match;
    ngx_int_t                   preflight;
    ngx_http_keygate_list_t    *keys;       /* of keygate_key */
    ngx_http_keygate_list_t    *sources;    /* of keygate_source */
    ngx_http_keygate_list_t    *exempt;     /* of keygate_str */
    ngx_int_t                   strip;
    ngx_http_keygate_list_t    *identity;   /* of one keygate_str */
    ngx_http_keygate_list_t    *origin;     /* of one keygate_str */
} ngx_http_keygate_settings_t;


typedef struct ngx_http_keygate_policy_s  ngx_http_keygate_policy_t;

struct ngx_http_keygate_policy_s {
    ngx_http_keygate_settings_t  settings;
    uint64_t                     lengths;   /* of the names to look at */
    ngx_http_keygate_policy_t   *strict;    /* the same where a key is asked for */
    ngx_http_keygate_policy_t   *rules;     /* the first of those that decide alike */
    ngx_http_keygate_policy_t   *strips[NGX_HTTP_KEYGATE_STRIPS];
    unsigned                     used:1;
    unsigned                     linted:1;  /* or another that decides alike */
    keygate_policy               policy;
};


/* An indexed variable that is made of a request header. */
typedef struct {
    ngx_uint_t                  index;
    ngx_str_t                   header;     /* as in $http_HEADER */
} ngx_http_keygate_derived_t;


typedef struct {
    ngx_http_keygate_secret_t  *secrets;
    ngx_array_t                 policies;   /* of ngx_http_keygate_policy_t * */
    ngx_array_t                 derived;    /* of ngx_http_keygate_derived_t */
    ngx_int_t                   user;       /* the index of $remote_user */
    ngx_uint_t                  strips;     /* that are in use, as bits */
    unsigned                    configured:1;
    unsigned                    on:1;
} ngx_http_keygate_main_conf_t;


typedef struct {
    ngx_flag_t                   enable;
    ngx_flag_t                   explain;
    ngx_http_keygate_settings_t  settings;
    ngx_http_keygate_place_t     place;     /* of "keygate on" */
    ngx_http_keygate_policy_t   *policy;    /* NULL where the gate is off */
} ngx_http_keygate_loc_conf_t;


/*
 * What a policy said about a request and its subrequests. It is asked once, as method, target and
 * headers as received do not change; and once more where another method than that is forwarded.
 */
typedef struct ngx_http_keygate_asked_s  ngx_http_keygate_asked_t;

struct ngx_http_keygate_asked_s {
    ngx_http_keygate_policy_t  *policy;
    keygate_decision            decision;
    keygate_decision            effective;  /* what stripping asks with */
    size_t                      position;   /* of the deciding header among all */
    ngx_table_elt_t             identity;   /* the header that tells of it */
    ngx_http_keygate_asked_t   *next;
    uint32_t                    findings;
    unsigned                    explained:1;    /* findings are there */
    unsigned                    admitted:1; /* denied, but "satisfy any" let it pass */
    unsigned                    changed:1;  /* asked about another method than received */
};


typedef struct ngx_http_keygate_ctx_s   ngx_http_keygate_ctx_t;
typedef struct ngx_http_keygate_view_s  ngx_http_keygate_view_t;

/* What belongs to a main request or to a subrequest alone. */
struct ngx_http_keygate_view_s {
    ngx_http_request_t         *request;
    ngx_http_keygate_ctx_t     *ctx;
    ngx_http_keygate_asked_t   *last;       /* what $keygate_... tells of */
    ngx_http_keygate_asked_t   *denied;     /* and nothing guarded let it pass since */
    u_char                     *challenge;  /* that auth_request may hand on */
    ngx_chain_t                *body;       /* for the denial, until it is sent */
    ngx_http_keygate_view_t    *next;
    unsigned                    answer:1;   /* denied, and not redirected since */
    unsigned                    settled:1;  /* the headers are as they are forwarded */
};


/* What a request and its subrequests share. */
struct ngx_http_keygate_ctx_s {
    ngx_http_keygate_view_t     main;
    ngx_http_keygate_view_t    *subrequests;
    ngx_http_keygate_asked_t    asked;      /* the first; the rest is linked to it */
    ngx_list_t                  received;   /* the headers before any was stripped */
    keygate_header             *headers;    /* the same, out of others' reach, or NULL */
    size_t                      count;
    u_char                     *dropped;    /* one byte for each of them, or NULL */
    u_char                      few[NGX_HTTP_KEYGATE_FEW];  /* room for those */
};


typedef keygate_str (*ngx_http_keygate_text_pt)(ngx_http_request_t *r,
    ngx_http_keygate_asked_t *asked);


static ngx_int_t ngx_http_keygate_rewrite_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_keygate_access_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_keygate_precontent_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_keygate_log_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_keygate_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_keygate_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_keygate_add_variables(ngx_conf_t *cf);
static ngx_int_t ngx_http_keygate_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_keygate_init_module(ngx_cycle_t *cycle);
static void *ngx_http_keygate_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_keygate_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_keygate_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_keygate_enable(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_keygate_choice(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_keygate_api_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_keygate_api_key_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_keygate_source(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_keygate_text(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* The last of each is what the library says of any other name. */

static ngx_conf_enum_t  ngx_http_keygate_modes[] = {
    { ngx_string("off"), KEYGATE_MODE_OFF },
    { ngx_string("strict"), KEYGATE_MODE_STRICT },
    { ngx_string("all_except_health"), KEYGATE_MODE_ALL_EXCEPT_HEALTH },
    { ngx_string("auto"), KEYGATE_MODE_AUTO },
    { ngx_null_string, (ngx_uint_t) KEYGATE_ERR_MODE }
};


static ngx_conf_enum_t  ngx_http_keygate_matches[] = {
    { ngx_string("first"), KEYGATE_MATCH_FIRST },
    { ngx_string("any"), KEYGATE_MATCH_ANY },
    { ngx_null_string, (ngx_uint_t) KEYGATE_ERR_MATCH }
};


static ngx_conf_enum_t  ngx_http_keygate_preflights[] = {
    { ngx_string("options"), KEYGATE_PREFLIGHT_OPTIONS },
    { ngx_string("cors"), KEYGATE_PREFLIGHT_CORS },
    { ngx_string("none"), KEYGATE_PREFLIGHT_NONE },
    { ngx_null_string, (ngx_uint_t) KEYGATE_ERR_PREFLIGHT }
};


static ngx_conf_enum_t  ngx_http_keygate_strips[] = {
    { ngx_string("sources"), KEYGATE_STRIP_SOURCES },
    { ngx_string("on"), KEYGATE_STRIP_SOURCES },
    { ngx_string("matched"), KEYGATE_STRIP_MATCHED },
    { ngx_string("off"), KEYGATE_STRIP_OFF },
    { ngx_null_string, (ngx_uint_t) KEYGATE_ERR_STRIP }
};


#define NGX_HTTP_KEYGATE_ANY                                                  \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)


static ngx_command_t  ngx_http_keygate_commands[] = {

    { ngx_string("keygate"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_FLAG,
      ngx_http_keygate_enable,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, enable),
      NULL },

    { ngx_string("keygate_auth_mode"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE1,
      ngx_http_keygate_choice,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, settings.mode),
      ngx_http_keygate_modes },

    { ngx_string("keygate_match"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE1,
      ngx_http_keygate_choice,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, settings.match),
      ngx_http_keygate_matches },

    { ngx_string("keygate_preflight"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE1,
      ngx_http_keygate_choice,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, settings.preflight),
      ngx_http_keygate_preflights },

    { ngx_string("keygate_allow_lan_access"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, settings.lan),
      NULL },

    { ngx_string("keygate_api_key"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE12,
      ngx_http_keygate_api_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keygate_api_key_file"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE12,
      ngx_http_keygate_api_key_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keygate_source"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE12,
      ngx_http_keygate_source,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keygate_exempt"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE1,
      ngx_http_keygate_text,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, settings.exempt),
      NULL },

    { ngx_string("keygate_strip"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE1,
      ngx_http_keygate_choice,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, settings.strip),
      ngx_http_keygate_strips },

    { ngx_string("keygate_identity_header"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE1,
      ngx_http_keygate_text,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, settings.identity),
      "once" },

    { ngx_string("keygate_allow_origin"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_TAKE1,
      ngx_http_keygate_text,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, settings.origin),
      "once" },

    { ngx_string("keygate_explain"),
      NGX_HTTP_KEYGATE_ANY|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keygate_loc_conf_t, explain),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_keygate_module_ctx = {
    ngx_http_keygate_add_variables,        /* preconfiguration */
    ngx_http_keygate_init,                 /* postconfiguration */

    ngx_http_keygate_create_main_conf,     /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_keygate_create_loc_conf,      /* create location configuration */
    ngx_http_keygate_merge_loc_conf        /* merge location configuration */
};


ngx_module_t  ngx_http_keygate_module = {
    NGX_MODULE_V1,
    &ngx_http_keygate_module_ctx,          /* module context */
    ngx_http_keygate_commands,             /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_keygate_init_module,          /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static keygate_str
ngx_http_keygate_str(u_char *data, size_t len)
{
    keygate_str  s;

    s.ptr = (const char *) data;
    s.len = len;

    return s;
}


static keygate_str
ngx_http_keygate_cstr(const char *text)
{
    return ngx_http_keygate_str((u_char *) text, ngx_strlen(text));
}


static ngx_uint_t
ngx_http_keygate_is(keygate_str name, const char *known)
{
    return name.len == ngx_strlen(known)
           && ngx_strncasecmp((u_char *) name.ptr, (u_char *) known, name.len)
              == 0;
}


/* ----- the context of a request ----- */

/* Does nothing: its address tells our cleanup from others. */
static void
ngx_http_keygate_ctx_cleanup(void *data)
{
}


/* An internal redirect forgets the module's context, but not the request's cleanups. */
static ngx_http_keygate_ctx_t *
ngx_http_keygate_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t       *cln;
    ngx_http_keygate_view_t  *view;

    r = r->main;

    view = ngx_http_get_module_ctx(r, ngx_http_keygate_module);

    if (view) {
        return view->ctx;
    }

    if (r->internal || r->filter_finalize) {

        for (cln = r->pool->cleanup; cln; cln = cln->next) {
            if (cln->handler == ngx_http_keygate_ctx_cleanup) {
                return cln->data;
            }
        }
    }

    return NULL;
}


static ngx_http_keygate_view_t *
ngx_http_keygate_get_view(ngx_http_request_t *r)
{
    ngx_http_keygate_ctx_t   *ctx;
    ngx_http_keygate_view_t  *view;

    view = ngx_http_get_module_ctx(r, ngx_http_keygate_module);

    if (view) {
        return view;
    }

    ctx = ngx_http_keygate_get_ctx(r);

    if (ctx == NULL || r == r->main) {
        return ctx ? &ctx->main : NULL;
    }

    for (view = ctx->subrequests; view; view = view->next) {
        if (view->request == r) {
            break;
        }
    }

    return view;
}


static ngx_http_keygate_view_t *
ngx_http_keygate_add_view(ngx_http_request_t *r)
{
    ngx_list_part_t          *part, *own;
    ngx_pool_cleanup_t       *cln;
    ngx_http_keygate_ctx_t   *ctx;
    ngx_http_keygate_view_t  *view;

    view = ngx_http_keygate_get_view(r);

    if (view) {
        ngx_http_set_ctx(r, view, ngx_http_keygate_module);
        return view;
    }

    ctx = ngx_http_keygate_get_ctx(r);

    if (ctx == NULL) {
        cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_keygate_ctx_t));
        if (cln == NULL) {
            return NULL;
        }

        ctx = cln->data;
        ngx_memzero(ctx, sizeof(ngx_http_keygate_ctx_t));

        ctx->main.request = r->main;
        ctx->main.ctx = ctx;
        ctx->received = r->main->headers_in.headers;

        /* parts of its own: the last one grows where another module adds a header */

        for (part = &ctx->received.part; part->next; part = part->next) {
            own = ngx_palloc(r->pool, sizeof(ngx_list_part_t));
            if (own == NULL) {
                return NULL;
            }

            *own = *part->next;
            part->next = own;
        }

        cln->handler = ngx_http_keygate_ctx_cleanup;

        ngx_http_set_ctx(r->main, &ctx->main, ngx_http_keygate_module);
    }

    if (r == r->main) {
        return &ctx->main;
    }

    view = ngx_pcalloc(r->pool, sizeof(ngx_http_keygate_view_t));
    if (view == NULL) {
        return NULL;
    }

    view->request = r;
    view->ctx = ctx;
    view->next = ctx->subrequests;
    ctx->subrequests = view;

    ngx_http_set_ctx(r, view, ngx_http_keygate_module);

    return view;
}


/* ----- the decision ----- */

/* The library need not be asked about a header whose name has a length that it does not look for. */
static ngx_inline ngx_uint_t
ngx_http_keygate_has_length(uint64_t lengths, ngx_table_elt_t *h)
{
    return (lengths & ((uint64_t) 1 << (h->key.len & 63))) != 0;
}


/*
 * Method and target as received. r->method_name is changed by error_page, r->http_version by
 * post_action, and r->unparsed_uri has lost the scheme and host of an absolute target; the request
 * line keeps them all, and nginx writes one for HTTP/2 and HTTP/3 as well.
 */
static void
ngx_http_keygate_request_line(ngx_http_request_t *r, keygate_str *method,
    keygate_str *target)
{
    u_char  *p, *start, *last;

    p = r->request_line.data;
    last = p + r->request_line.len;

    for (start = p; p < last && *p != ' '; p++) { /* void */ }

    *method = ngx_http_keygate_str(start, p - start);

    while (p < last && *p == ' ') {
        p++;
    }

    while (last > p && last[-1] == ' ') {
        last--;
    }

    if (r->http_protocol.len) {

        /* not HTTP/0.9; no version is shorter than "HTTP/1.1" */

        last -= ngx_min(last - p, 8);

        while (last > p && last[-1] != ' ') {
            last--;
        }

        while (last > p && last[-1] == ' ') {
            last--;
        }
    }

    *target = ngx_http_keygate_str(p, last - p);
}


/*
 * Copies names and values of all the headers as received. Another module may change them in their
 * places from here on: the next policy is asked with what came from the client all the same.
 */
static ngx_int_t
ngx_http_keygate_copy_headers(ngx_http_keygate_ctx_t *ctx)
{
    size_t            n;
    keygate_header   *header;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *end;

    if (ctx->headers) {
        return NGX_OK;
    }

    n = 0;

    for (part = &ctx->received.part; part; part = part->next) {
        n += part->nelts;
    }

    header = ngx_palloc(ctx->main.request->pool,
                        (n + 1) * sizeof(keygate_header));
    if (header == NULL) {
        return NGX_ERROR;
    }

    ctx->headers = header;
    ctx->count = n;

    for (part = &ctx->received.part; part; part = part->next) {
        h = part->elts;

        for (end = h + part->nelts; h < end; h++, header++) {
            header->name = ngx_http_keygate_str(h->key.data, h->key.len);
            header->value = ngx_http_keygate_str(h->value.data, h->value.len);
        }
    }

    return NGX_OK;
}


/*
 * The headers that a policy looks for, if they are few, and their places among all; more than FEW
 * otherwise. A hash of 0 does not mean "deleted" here: nginx forwards such a header.
 */
static size_t
ngx_http_keygate_few_headers(ngx_http_keygate_ctx_t *ctx, uint64_t lengths,
    keygate_header *headers, size_t *positions)
{
    size_t            n, position;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *end;

    n = 0;
    position = 0;

    for (part = &ctx->received.part; part; part = part->next) {
        h = part->elts;

        for (end = h + part->nelts; h < end; h++, position++) {

            if (!ngx_http_keygate_has_length(lengths, h)) {
                continue;
            }

            if (n == NGX_HTTP_KEYGATE_FEW) {
                return n + 1;
            }

            headers[n].name = ngx_http_keygate_str(h->key.data, h->key.len);
            headers[n].value = ngx_http_keygate_str(h->value.data,
                                                    h->value.len);
            positions[n] = position;
            n++;
        }
    }

    return n;
}


static ngx_uint_t
ngx_http_keygate_keyless(keygate_decision *decision)
{
    return decision->reason == KEYGATE_REASON_PREFLIGHT
           || decision->reason == KEYGATE_REASON_HEALTH;
}


static ngx_int_t
ngx_http_keygate_decide(ngx_http_request_t *r, ngx_http_keygate_ctx_t *ctx,
    ngx_http_keygate_asked_t *asked)
{
    size_t           positions[NGX_HTTP_KEYGATE_FEW];
    keygate_header   few[NGX_HTTP_KEYGATE_FEW];
    keygate_request  request;

    request.size = sizeof(keygate_request);
    request.headers = few;
    request.header_count = NGX_HTTP_KEYGATE_FEW + 1;

    if (ctx->headers == NULL) {
        request.header_count = ngx_http_keygate_few_headers(ctx,
                                   asked->policy->lengths, few, positions);
    }

    if (request.header_count > NGX_HTTP_KEYGATE_FEW) {
        if (ngx_http_keygate_copy_headers(ctx) != NGX_OK) {
            return NGX_ERROR;
        }

        request.headers = ctx->headers;
        request.header_count = ctx->count;
    }

    ngx_http_keygate_request_line(ctx->main.request, &request.method,
                                  &request.target);

    asked->decision.size = sizeof(keygate_decision);

    (void) keygate_decide(&asked->policy->policy, &request, &asked->decision);

    if (asked->changed && ngx_http_keygate_keyless(&asked->decision)) {

        /* a preflight that goes upstream as GET is none */

        request.method = ngx_http_keygate_str(r->method_name.data,
                                              r->method_name.len);

        (void) keygate_decide(&asked->policy->policy, &request,
                              &asked->decision);
    }

    asked->position = asked->decision.header;

    if (request.headers == few && asked->position < request.header_count) {
        asked->position = positions[asked->position];
    }

    return NGX_OK;
}


static uint32_t
ngx_http_keygate_findings(ngx_http_keygate_ctx_t *ctx,
    ngx_http_keygate_asked_t *asked)
{
    keygate_request  request;

    if (!asked->explained && ngx_http_keygate_copy_headers(ctx) == NGX_OK) {

        request.size = sizeof(keygate_request);
        request.headers = ctx->headers;
        request.header_count = ctx->count;
        ngx_http_keygate_request_line(ctx->main.request, &request.method,
                                      &request.target);

        asked->findings = keygate_findings(&asked->policy->policy, &request);
        asked->explained = 1;
    }

    return asked->findings;
}


/* Their codes. */
static u_char *
ngx_http_keygate_codes(u_char *p, u_char *last, uint32_t findings,
    const char *quote, const char *separator)
{
    uint32_t     bit;
    const char  *before;

    before = "";

    for (bit = 1; bit; bit <<= 1) {
        if (findings & bit) {
            p = ngx_slprintf(p, last, "%s%s%s%s", before, quote,
                             keygate_finding_name(bit), quote);
            before = separator;
        }
    }

    return p;
}


static ngx_str_t  ngx_http_keygate_methods[] = {
    ngx_string("GET"),
    ngx_string("HEAD"),
    ngx_string("POST"),
    ngx_string("PUT"),
    ngx_string("DELETE"),
    ngx_string("OPTIONS"),
    ngx_string("PATCH"),
    ngx_string("MKCOL"),
    ngx_string("COPY"),
    ngx_string("MOVE"),
    ngx_string("PROPFIND"),
    ngx_string("PROPPATCH"),
    ngx_string("LOCK"),
    ngx_string("UNLOCK"),
    ngx_null_string
};


/*
 * What nginx adds to a line of its error log, less the target and the headers: a client may have
 * put a key anywhere in them, in the path too. A method that nginx does not know may be anything.
 */
static u_char *
ngx_http_keygate_log_line(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    ngx_str_t                 *m;
    keygate_str                method, target;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    ngx_http_keygate_request_line(r, &method, &target);

    for (m = ngx_http_keygate_methods; m->len; m++) {
        if (m->len == method.len
            && ngx_memcmp(m->data, method.ptr, method.len) == 0)
        {
            return ngx_snprintf(buf, len, ", server: %V, method: %V",
                                &cscf->server_name, m);
        }
    }

    return ngx_snprintf(buf, len, ", server: %V, method: (other)",
                        &cscf->server_name);
}


static void
ngx_http_keygate_log(ngx_http_request_t *r, ngx_http_keygate_ctx_t *ctx,
    ngx_http_keygate_asked_t *asked, ngx_flag_t explain)
{
    u_char                   *p, *last;
    u_char                    codes[NGX_HTTP_KEYGATE_CODES];
    uint32_t                  findings;
    ngx_uint_t                level;
    keygate_reason            reason;
    ngx_http_log_handler_pt   handler;

    findings = explain ? ngx_http_keygate_findings(ctx, asked) : 0;

    if (asked->decision.verdict == KEYGATE_ALLOW && findings == 0) {
        return;
    }

    p = codes;
    last = codes + sizeof(codes) - 1;

    if (findings) {
        p = ngx_slprintf(p, last, ", findings: ");
        p = ngx_http_keygate_codes(p, last, findings, "", " ");
    }

    *p = '\0';

    /* not at "info", where nginx writes headers of its own accord */

    reason = asked->decision.reason;
    level = (reason == KEYGATE_REASON_NO_KEY_CONFIGURED
             || reason == KEYGATE_REASON_INVALID_CALL)
            ? NGX_LOG_ERR : NGX_LOG_NOTICE;

    r = r->main;

    handler = r->log_handler;
    r->log_handler = ngx_http_keygate_log_line;

    ngx_log_error(level, r->connection->log, 0, "keygate: %s: %s (%s)%s",
                  asked->decision.verdict == KEYGATE_ALLOW ? "allow" : "deny",
                  keygate_reason_text(reason, KEYGATE_LANGUAGE_EN),
                  keygate_reason_name(reason), codes);

    r->log_handler = handler;
}


/*
 * error_page and X-Accel-Redirect make GET of all methods but HEAD, and so do subrequests. Those that
 * come before the main request has passed, of auth_request, only judge it.
 */
static ngx_uint_t
ngx_http_keygate_method_changed(ngx_http_request_t *r,
    ngx_http_keygate_ctx_t *ctx)
{
    keygate_str  method, target;

    if (r->method_name.data == r->request_line.data
        || (r != r->main && !ctx->main.settled))
    {
        return 0;
    }

    ngx_http_keygate_request_line(r, &method, &target);

    return method.len != r->method_name.len
           || ngx_memcmp(method.ptr, r->method_name.data, method.len) != 0;
}


/* What the policy of a location says about the request. NULL: no memory. */
static ngx_http_keygate_asked_t *
ngx_http_keygate_ask(ngx_http_request_t *r, ngx_http_keygate_view_t *view,
    ngx_http_keygate_loc_conf_t *kcf)
{
    ngx_uint_t                 changed;
    ngx_http_keygate_ctx_t    *ctx;
    ngx_http_keygate_asked_t  *asked, *alike;

    ctx = view->ctx;
    changed = ngx_http_keygate_method_changed(r, ctx);
    alike = NULL;

    if (ctx->asked.policy == NULL) {
        asked = &ctx->asked;

    } else {
        for (asked = &ctx->asked; asked; asked = asked->next) {
            if (asked->policy->rules != kcf->policy->rules
                || (asked->changed != changed
                    && ngx_http_keygate_keyless(&asked->decision)))
            {
                continue;
            }

            if (asked->policy == kcf->policy) {
                view->last = asked;
                return asked;
            }

            alike = asked;
        }

        asked = ngx_pcalloc(r->pool, sizeof(ngx_http_keygate_asked_t));
        if (asked == NULL) {
            return NULL;
        }
    }

    if (alike) {
        *asked = *alike;
    }

    asked->policy = kcf->policy;
    asked->changed = changed;

    if (alike == NULL && ngx_http_keygate_decide(r, ctx, asked) != NGX_OK) {
        asked->policy = NULL;
        return NULL;
    }

    if (asked != &ctx->asked) {
        asked->next = ctx->asked.next;
        ctx->asked.next = asked;
    }

    if (alike == NULL
        && (asked->decision.verdict != KEYGATE_ALLOW || kcf->explain))
    {
        ngx_http_keygate_log(r, ctx, asked, kcf->explain);
    }

    view->last = asked;

    return asked;
}


static ngx_int_t
ngx_http_keygate_deny(ngx_http_request_t *r, ngx_http_keygate_view_t *view,
    ngx_http_keygate_asked_t *asked)
{
    view->denied = asked;
    view->answer = 1;

    if (r->uri_changes == 1) {
        /* one more error page would be a redirection cycle, answered 500 */
        r->error_page = 1;
    }

    return NGX_HTTP_UNAUTHORIZED;
}


/*
 * nginx calls this for main requests only, again after each internal redirect, whatever led to it.
 * A location that is guarded answers 401 each time, as it does with auth_basic.
 */
static ngx_int_t
ngx_http_keygate_access_handler(ngx_http_request_t *r)
{
    ngx_http_keygate_view_t      *view;
    ngx_http_keygate_asked_t     *asked;
    ngx_http_keygate_loc_conf_t  *kcf;

    kcf = ngx_http_get_module_loc_conf(r, ngx_http_keygate_module);

    if (kcf->policy == NULL) {
        return NGX_DECLINED;
    }

    view = ngx_http_keygate_add_view(r);
    if (view == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    asked = ngx_http_keygate_ask(r, view, kcf);
    if (asked == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (asked->decision.verdict != KEYGATE_ALLOW) {
        return ngx_http_keygate_deny(r, view, asked);
    }

    /* a gate that is off has asked for nothing, so it satisfies nothing either */

    if (asked->decision.reason == KEYGATE_REASON_AUTH_OFF) {
        return NGX_DECLINED;
    }

    view->denied = NULL;
    view->answer = 0;

    return NGX_OK;
}


/* ----- variables that nginx makes of headers ----- */

/* Has those that are made of this header made anew. */
static void
ngx_http_keygate_forget_variables(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    u_char                         c;
    size_t                         n;
    ngx_uint_t                     i;
    ngx_http_variable_value_t     *v;
    ngx_http_keygate_derived_t    *derived;
    ngx_http_keygate_main_conf_t  *kmcf;

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_keygate_module);

    derived = kmcf->derived.elts;

    for (i = 0; i < kmcf->derived.nelts; i++) {

        v = &r->variables[derived[i].index];

        if ((!v->valid && !v->not_found)
            || derived[i].header.len != h->key.len)
        {
            continue;
        }

        for (n = 0; n < h->key.len; n++) {
            c = ngx_tolower(h->key.data[n]);

            if (derived[i].header.data[n] != (c == '-' ? '_' : c)) {
                break;
            }
        }

        if (n == h->key.len) {
            v->valid = 0;
            v->not_found = 0;
        }
    }
}


/* A place in a list of headers. */
typedef struct {
    ngx_list_part_t  *part;
    ngx_uint_t        index;
    size_t            position;     /* in the whole list */
} ngx_http_keygate_cursor_t;


static ngx_table_elt_t *
ngx_http_keygate_here(ngx_http_keygate_cursor_t *cursor)
{
    while (cursor->index >= cursor->part->nelts) {
        if (cursor->part->next == NULL) {
            return NULL;
        }

        cursor->part = cursor->part->next;
        cursor->index = 0;
    }

    return (ngx_table_elt_t *) cursor->part->elts + cursor->index;
}


static ngx_table_elt_t *
ngx_http_keygate_first(ngx_http_keygate_cursor_t *cursor, ngx_list_part_t *part)
{
    cursor->part = part;
    cursor->index = 0;
    cursor->position = 0;

    return ngx_http_keygate_here(cursor);
}


static ngx_table_elt_t *
ngx_http_keygate_next(ngx_http_keygate_cursor_t *cursor)
{
    cursor->index++;
    cursor->position++;

    return ngx_http_keygate_here(cursor);
}


/* Whether this one of the headers as received was dropped, from the request or a subrequest. */
static ngx_inline ngx_uint_t
ngx_http_keygate_was_dropped(ngx_http_keygate_ctx_t *ctx,
    ngx_http_keygate_cursor_t *cursor)
{
    return ctx->dropped[cursor->position];
}


static void
ngx_http_keygate_forget_dropped(ngx_http_request_t *r,
    ngx_http_keygate_ctx_t *ctx)
{
    ngx_table_elt_t            *h;
    ngx_http_keygate_asked_t   *asked;
    ngx_http_keygate_cursor_t   cursor;

    if (ctx->dropped == NULL) {
        return;
    }

    for (h = ngx_http_keygate_first(&cursor, &ctx->received.part); h;
         h = ngx_http_keygate_next(&cursor))
    {
        if (ngx_http_keygate_was_dropped(ctx, &cursor)) {
            ngx_http_keygate_forget_variables(r, h);
        }
    }

    for (asked = &ctx->asked; asked; asked = asked->next) {
        ngx_http_keygate_forget_variables(r, &asked->identity);
    }
}


/*
 * $remote_user ends with the header that it is made of. Where auth_basic has read the user's name,
 * it stays, unless nobody has let the request pass or a policy takes the name for a key.
 */
static void
ngx_http_keygate_keep_user(ngx_http_request_t *r, ngx_http_keygate_ctx_t *ctx)
{
    ngx_str_t                      user;
    keygate_header                 header;
    keygate_request                request;
    const keygate_policy          *policy;
    ngx_http_variable_value_t     *v;
    ngx_http_keygate_asked_t      *asked;
    ngx_http_keygate_main_conf_t  *kmcf;

    user = r->headers_in.user;

    ngx_str_null(&r->headers_in.user);
    ngx_str_null(&r->headers_in.passwd);

    if (user.len == 0 || ctx->main.denied) {
        return;
    }

    ngx_memzero(&request, sizeof(keygate_request));
    request.size = sizeof(keygate_request);
    request.headers = &header;
    request.header_count = 1;

    for (asked = &ctx->asked; asked; asked = asked->next) {
        policy = &asked->policy->strict->policy;

        header.name = keygate_policy_source_name(policy, 0);
        header.value = ngx_http_keygate_str(user.data, user.len);

        if (keygate_decide(policy, &request, NULL) == KEYGATE_ALLOW) {
            return;
        }
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_keygate_module);

    v = &r->variables[kmcf->user];
    v->len = user.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = user.data;
}


/* ----- stripping, and taking it back ----- */

static ngx_http_header_t *
ngx_http_keygate_known(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    ngx_http_header_t          *hh;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    hh = ngx_hash_find(&cmcf->headers_in_hash, h->hash, h->lowcase_key,
                       h->key.len);

    return (hh && hh->offset) ? hh : NULL;
}


#if (nginx_version < 1023000)

/* Of some headers nginx kept an array. */
static ngx_array_t *
ngx_http_keygate_known_array(ngx_http_request_t *r, ngx_http_header_t *hh)
{
    if (hh->offset == offsetof(ngx_http_headers_in_t, cookies)) {
        return &r->headers_in.cookies;
    }

#if (NGX_HTTP_X_FORWARDED_FOR)
    if (hh->offset == offsetof(ngx_http_headers_in_t, x_forwarded_for)) {
        return &r->headers_in.x_forwarded_for;
    }
#endif

    return NULL;
}


static ngx_int_t
ngx_http_keygate_refill(ngx_http_request_t *r, ngx_http_header_t *known,
    ngx_array_t *array)
{
    ngx_list_part_t   *part;
    ngx_table_elt_t   *h, *end, **place;

    if (ngx_array_init(array, r->pool, 1, sizeof(ngx_table_elt_t *)) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (end = h + part->nelts; h < end; h++) {
            if (ngx_http_keygate_known(r, h) != known) {
                continue;
            }

            place = ngx_array_push(array);
            if (place == NULL) {
                return NGX_ERROR;
            }

            *place = h;
        }
    }

    return NGX_OK;
}

#endif


/* Forgets the pointer that nginx keeps to a header it knows. */
static void
ngx_http_keygate_forget(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    ngx_http_header_t  *hh;

    if (h == r->headers_in.authorization) {
        r->headers_in.authorization = NULL;
        return;
    }

    hh = ngx_http_keygate_known(r, h);

    if (hh == NULL) {
        return;
    }

#if (nginx_version < 1023000)
    {
    ngx_array_t  *array;

    array = ngx_http_keygate_known_array(r, hh);

    if (array) {
        /* subrequests have copies of it with the same elements */
        ngx_memzero(array, sizeof(ngx_array_t));
        return;
    }
    }
#endif

    *(ngx_table_elt_t **) ((char *) &r->headers_in + hh->offset) = NULL;
}


/* Sets it again, once the header is back in the list. */
static ngx_int_t
ngx_http_keygate_recall(ngx_http_request_t *r, ngx_table_elt_t *h,
    ngx_uint_t *refilled)
{
    ngx_http_header_t   *hh;
    ngx_table_elt_t    **place;

    hh = ngx_http_keygate_known(r, h);

    if (hh == NULL) {
        return NGX_OK;
    }

#if (nginx_version < 1023000)
    {
    ngx_uint_t    bit;
    ngx_array_t  *array;

    array = ngx_http_keygate_known_array(r, hh);

    if (array) {
        bit = (array == &r->headers_in.cookies) ? 1 : 2;

        if (*refilled & bit) {
            return NGX_OK;
        }

        *refilled |= bit;

        return ngx_http_keygate_refill(r, hh, array);
    }
    }
#endif

    place = (ngx_table_elt_t **) ((char *) &r->headers_in + hh->offset);

    if (*place == NULL) {
        *place = h;
    }

    if (place == &r->headers_in.authorization) {
        /* nginx has noted that there is no user */
        ngx_str_null(&r->headers_in.user);
        ngx_str_null(&r->headers_in.passwd);
    }

    return NGX_OK;
}


/* A list of elements that stay where they are: others hold pointers to them. */
typedef struct {
    ngx_pool_t       *pool;
    ngx_list_part_t   first;
    ngx_list_part_t  *last;     /* NULL: none yet */
} ngx_http_keygate_kept_t;


static ngx_int_t
ngx_http_keygate_keep(ngx_http_keygate_kept_t *kept, ngx_table_elt_t *from,
    ngx_table_elt_t *to)
{
    ngx_list_part_t  *part;

    if (from == to) {
        return NGX_OK;  /* nginx reads the first element of a part unasked */
    }

    part = kept->last;

    if (part && (ngx_table_elt_t *) part->elts + part->nelts == from) {
        part->nelts += to - from;
        return NGX_OK;
    }

    if (part == NULL) {
        part = &kept->first;

    } else {
        part = ngx_palloc(kept->pool, sizeof(ngx_list_part_t));
        if (part == NULL) {
            return NGX_ERROR;
        }

        kept->last->next = part;
    }

    part->elts = from;
    part->nelts = to - from;
    part->next = NULL;
    kept->last = part;

    return NGX_OK;
}


/* Puts them in the place of a list, the parts of which stay as they are: it may be shared. */
static ngx_int_t
ngx_http_keygate_replace(ngx_list_t *list, ngx_http_keygate_kept_t *kept)
{
    if (kept->last == NULL) {
        return ngx_list_init(list, kept->pool, 4, sizeof(ngx_table_elt_t));
    }

    list->part = kept->first;
    list->last = kept->last == &kept->first ? &list->part : kept->last;
    list->nalloc = list->last->nelts;

    return NGX_OK;
}


static ngx_int_t
ngx_http_keygate_keep_parts(ngx_http_keygate_kept_t *kept,
    ngx_list_part_t *part, ngx_list_part_t *end)
{
    ngx_table_elt_t  *h;

    for ( /* void */ ; part != end; part = part->next) {
        h = part->elts;

        if (ngx_http_keygate_keep(kept, h, h + part->nelts) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* ----- who it is, for upstream ----- */

/* The header that says whose key it was that the last decision about this request let pass. */
static ngx_int_t
ngx_http_keygate_identify(ngx_http_keygate_view_t *view,
    ngx_table_elt_t **identity)
{
    keygate_str                name, label;
    ngx_table_elt_t           *h;
    const keygate_policy      *policy;
    ngx_http_keygate_asked_t  *asked;

    *identity = NULL;

    asked = view->last ? view->last : view->ctx->main.last;

    if (asked == NULL || asked->decision.reason != KEYGATE_REASON_KEY_MATCHED) {
        return NGX_OK;
    }

    policy = &asked->policy->policy;
    name = keygate_policy_identity_header(policy);
    label = keygate_policy_key_label(policy, asked->decision.key);

    if (name.len == 0 || label.len == 0) {
        return NGX_OK;
    }

    h = &asked->identity;
    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->key.data = (u_char *) name.ptr;
    h->key.len = name.len;
    h->lowcase_key = h->key.data;
    h->hash = ngx_hash_key(h->key.data, h->key.len);

    /* some code looks for the NUL behind a value */

    h->value.len = label.len;
    h->value.data = ngx_pcalloc(view->request->pool, label.len + 1);
    if (h->value.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(h->value.data, label.ptr, label.len);
    *identity = h;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_keygate_is_identity(ngx_http_keygate_ctx_t *ctx, ngx_table_elt_t *h)
{
    ngx_http_keygate_asked_t  *asked;

    for (asked = &ctx->asked; asked; asked = asked->next) {
        if (h == &asked->identity) {
            return 1;
        }
    }

    return 0;
}


/*
 * Takes stripping back: what was dropped is there again, in its place among the rest, and what the
 * module has added is not. Another one may have removed headers since, and added some behind the
 * others: both stays so.
 */
static ngx_int_t
ngx_http_keygate_restore(ngx_http_request_t *r, ngx_http_keygate_ctx_t *ctx)
{
    ngx_uint_t                  refilled;
    ngx_list_part_t             part;
    ngx_table_elt_t            *h, *now;
    ngx_http_keygate_kept_t     kept;
    ngx_http_keygate_cursor_t   received, left;

    if (ctx->dropped == NULL) {
        return NGX_OK;
    }

    part = r->headers_in.headers.part;
    now = ngx_http_keygate_first(&left, &part);
    kept.pool = r->pool;
    kept.last = NULL;

    for (h = ngx_http_keygate_first(&received, &ctx->received.part); h;
         h = ngx_http_keygate_next(&received))
    {
        if (h == now) {
            now = ngx_http_keygate_next(&left);

        } else if (!ngx_http_keygate_was_dropped(ctx, &received)) {
            continue;
        }

        if (ngx_http_keygate_keep(&kept, h, h + 1) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    for ( /* void */ ; now; now = ngx_http_keygate_next(&left)) {
        if (ngx_http_keygate_is_identity(ctx, now)) {
            ngx_http_keygate_forget(r, now);
            ngx_http_keygate_forget_variables(r, now);
            continue;
        }

        if (ngx_http_keygate_keep(&kept, now, now + 1) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_keygate_replace(&r->headers_in.headers, &kept) != NGX_OK) {
        return NGX_ERROR;
    }

    refilled = 0;

    for (h = ngx_http_keygate_first(&received, &ctx->received.part); h;
         h = ngx_http_keygate_next(&received))
    {
        if (!ngx_http_keygate_was_dropped(ctx, &received)) {
            continue;
        }

        ngx_http_keygate_forget_variables(r, h);

        if (ngx_http_keygate_recall(r, h, &refilled) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * Settles what each policy that decided about the request is asked with, and returns whether one of
 * them let it pass without a key. Behind a denial it is no longer the policy that lets it pass. Who
 * did is either another module, which "satisfy any" lets stand in for the gate; or nobody, and it is
 * an operator's error page that is forwarded.
 */
static ngx_uint_t
ngx_http_keygate_effective(ngx_http_keygate_view_t *view, uint64_t *lengths)
{
    ngx_uint_t                 keyless;
    keygate_reason             instead;
    ngx_http_keygate_asked_t  *asked;

    instead = (view->denied || view->ctx->main.denied)
              ? KEYGATE_REASON_PREFLIGHT : KEYGATE_REASON_AUTH_OFF;
    keyless = 0;
    *lengths = 0;

    for (asked = &view->ctx->asked; asked; asked = asked->next) {
        *lengths |= asked->policy->lengths;
        asked->effective = asked->decision;

        if (asked->decision.verdict != KEYGATE_ALLOW) {
            asked->effective.verdict = KEYGATE_ALLOW;
            asked->effective.reason = instead;
        }

        keyless |= ngx_http_keygate_keyless(&asked->effective);
    }

    if (keyless) {
        *lengths |= NGX_HTTP_KEYGATE_CONNECTION;
    }

    return keyless;
}


/* By the rule of the location that forwards, for each policy that decided. */
static ngx_uint_t
ngx_http_keygate_drops(ngx_http_keygate_ctx_t *ctx, ngx_int_t strip,
    keygate_str name, keygate_str value)
{
    ngx_http_keygate_asked_t  *asked;

    for (asked = &ctx->asked; asked; asked = asked->next) {
        if (keygate_policy_drops(&asked->policy->strips[strip]->policy,
                                 &asked->effective, name, value))
        {
            return 1;
        }
    }

    return 0;
}


/* Whether an option of Connection names what is dropped: it may have been added since. */
static ngx_uint_t
ngx_http_keygate_names_dropped(ngx_http_keygate_ctx_t *ctx, ngx_int_t strip,
    u_char *p, u_char *last)
{
    u_char  *start, *end;

    for ( /* void */ ; p < last; p++) {

        for (start = p; p < last && *p != ','; p++) { /* void */ }

        end = p;

        while (start < end && (*start == ' ' || *start == '\t')) {
            start++;
        }

        while (start < end && (end[-1] == ' ' || end[-1] == '\t')) {
            end--;
        }

        /* with this value, Upgrade may be named */

        if (ngx_http_keygate_drops(ctx, strip,
                                   ngx_http_keygate_str(start, end - start),
                                   ngx_http_keygate_cstr("websocket")))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_keygate_stops_here(ngx_http_keygate_ctx_t *ctx, ngx_int_t strip,
    ngx_uint_t keyless, ngx_table_elt_t *h)
{
    keygate_str  name;

    name = ngx_http_keygate_str(h->key.data, h->key.len);

    if (ngx_http_keygate_is(name, "Connection")) {

        /* without a key it is one request: nginx has read what this asks of itself */

        return keyless
               || ngx_http_keygate_names_dropped(ctx, strip, h->value.data,
                                                 h->value.data + h->value.len);
    }

    return ngx_http_keygate_drops(ctx, strip, name,
               ngx_http_keygate_str(h->value.data, h->value.len));
}


/* Notes among the headers as received that one of them is dropped. */
static ngx_int_t
ngx_http_keygate_note(ngx_http_request_t *r, ngx_http_keygate_ctx_t *ctx,
    ngx_table_elt_t *h)
{
    size_t            n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *first;

    if (ctx->dropped == NULL) {
        n = 0;

        for (part = &ctx->received.part; part; part = part->next) {
            n += part->nelts;
        }

        ctx->dropped = n > sizeof(ctx->few) ? ngx_pcalloc(r->pool, n)
                                            : ctx->few;
        if (ctx->dropped == NULL) {
            return NGX_ERROR;
        }
    }

    n = 0;

    for (part = &ctx->received.part; part; part = part->next) {
        first = part->elts;

        if (h >= first && h < first + part->nelts) {
            ctx->dropped[n + (h - first)] = 1;
            break;
        }

        n += part->nelts;
    }

    /* or it was added since, and is not taken back */

    return NGX_OK;
}


/* Strips the request for the location that it is in, and says whose key it was. */
static ngx_int_t
ngx_http_keygate_settle(ngx_http_request_t *r, ngx_http_keygate_view_t *view)
{
    uint64_t                      lengths;
    ngx_int_t                     strip;
    ngx_uint_t                    keyless, changed, refilled;
    ngx_list_t                   *list;
    ngx_list_part_t              *part;
    ngx_table_elt_t              *h, *from, *end, *known, *identity;
    ngx_http_keygate_kept_t       kept;
    ngx_http_keygate_loc_conf_t  *kcf;

    view->settled = 1;

    if (view->ctx->asked.policy == NULL) {
        return NGX_OK;
    }

    if (ngx_http_keygate_identify(view, &identity) != NGX_OK) {
        return NGX_ERROR;
    }

    kcf = ngx_http_get_module_loc_conf(r, ngx_http_keygate_module);

    strip = kcf->settings.strip;
    keyless = ngx_http_keygate_effective(view, &lengths);
    known = r->headers_in.authorization;
    list = &r->headers_in.headers;
    changed = 0;
    kept.pool = r->pool;
    kept.last = NULL;

    for (part = &list->part; part; part = part->next) {
        from = part->elts;
        end = from + part->nelts;

        for (h = from; h < end; h++) {

            if (!ngx_http_keygate_has_length(lengths, h)
                || !ngx_http_keygate_stops_here(view->ctx, strip, keyless, h))
            {
                continue;
            }

            if (!changed) {
                changed = 1;

                if (ngx_http_keygate_keep_parts(&kept, &list->part, part)
                    != NGX_OK)
                {
                    return NGX_ERROR;
                }
            }

            if (ngx_http_keygate_keep(&kept, from, h) != NGX_OK
                || ngx_http_keygate_note(r, view->ctx, h) != NGX_OK)
            {
                return NGX_ERROR;
            }

            ngx_http_keygate_forget(r, h);
            ngx_http_keygate_forget_variables(r, h);

            from = h + 1;
        }

        if (changed && ngx_http_keygate_keep(&kept, from, end) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (known && r->headers_in.authorization == NULL) {
        ngx_http_keygate_keep_user(r, view->ctx);
    }

    if (identity == NULL) {
        return changed ? ngx_http_keygate_replace(list, &kept) : NGX_OK;
    }

    if ((!changed
         && ngx_http_keygate_keep_parts(&kept, &list->part, NULL) != NGX_OK)
        || ngx_http_keygate_keep(&kept, identity, identity + 1) != NGX_OK
        || ngx_http_keygate_note(r, view->ctx, identity) != NGX_OK
        || ngx_http_keygate_replace(list, &kept) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_keygate_forget_variables(r, identity);
    refilled = 0;

    return ngx_http_keygate_recall(r, identity, &refilled);
}


/*
 * Where a request enters again: after a redirect, in a named location, and a subrequest for the
 * first time. It has the headers as received until the next location has settled what it forwards.
 */
static __attribute__((noinline)) ngx_int_t
ngx_http_keygate_enter_again(ngx_http_request_t *r)
{
    ngx_uint_t                settled;
    ngx_http_keygate_ctx_t   *ctx;
    ngx_http_keygate_view_t  *view;

    ctx = ngx_http_keygate_get_ctx(r);

    if (ctx == NULL) {
        return NGX_DECLINED;
    }

    /* a new subrequest has the headers of its parent */

    view = ngx_http_keygate_get_view(r);
    settled = view ? view->settled : 1;

    view = ngx_http_keygate_add_view(r);

    if (view == NULL || ngx_http_keygate_copy_headers(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    view->answer = 0;
    view->settled = 0;

    if (settled && ngx_http_keygate_restore(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_keygate_rewrite_handler(ngx_http_request_t *r)
{
    return r->internal ? ngx_http_keygate_enter_again(r) : NGX_DECLINED;
}


/*
 * A subrequest has its own headers but shares the variables of the main request. Where both run at
 * the same time, what one makes of its headers must not be read by the other.
 */
static ngx_int_t
ngx_http_keygate_own_variables(ngx_http_request_t *r,
    ngx_http_keygate_ctx_t *ctx)
{
    ngx_uint_t                  n;
    ngx_http_phase_handler_t   *ph;
    ngx_http_variable_value_t  *variables;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    ph = cmcf->phase_engine.handlers;

    if (r->variables != r->parent->variables
        || ph[r->main->phase_handler].checker == ngx_http_core_access_phase)
    {
        /* auth_request: the main request waits, and uses what was set */
        return NGX_OK;
    }

    n = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

    variables = ngx_palloc(r->pool, n);
    if (variables == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(variables, r->variables, n);
    ngx_http_keygate_forget_dropped(r, ctx);
    r->variables = variables;

    return NGX_OK;
}


/*
 * After the access phase, so that the other access modules still see what was sent, and before
 * anything that forwards. Subrequests have no access phase: they are asked about here.
 */
static ngx_int_t
ngx_http_keygate_precontent_handler(ngx_http_request_t *r)
{
    ngx_http_keygate_ctx_t       *ctx;
    ngx_http_keygate_view_t      *view;
    ngx_http_keygate_asked_t     *asked;
    ngx_http_keygate_loc_conf_t  *kcf;

    kcf = ngx_http_get_module_loc_conf(r, ngx_http_keygate_module);

    view = ngx_http_keygate_get_view(r);

    if (view == NULL) {
        if (kcf->policy == NULL) {
            return NGX_DECLINED;
        }

        view = ngx_http_keygate_add_view(r);
        if (view == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ctx = view->ctx;

    if (r != r->main && ngx_http_keygate_own_variables(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (kcf->policy) {
        asked = ngx_http_keygate_ask(r, view, kcf);
        if (asked == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (asked->decision.verdict != KEYGATE_ALLOW
            && r != r->main && !asked->admitted)
        {
            if (!ctx->main.settled) {
                /* auth_request may hand it on */
                ctx->main.answer = 1;
            }

            return ngx_http_keygate_deny(r, view, asked);
        }

        if (asked->decision.reason != KEYGATE_REASON_AUTH_OFF) {
            asked->admitted = 1;
            view->denied = NULL;
        }
    }

    view->answer = 0;

    if (ngx_http_keygate_settle(r, view) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r == r->main && ctx->subrequests) {
        ngx_http_keygate_forget_dropped(r, ctx);
    }

    return NGX_DECLINED;
}


/* Before the access log: requests that ended before they were to be forwarded. */
static ngx_int_t
ngx_http_keygate_log_handler(ngx_http_request_t *r)
{
    ngx_http_keygate_view_t  *view;

    view = ngx_http_keygate_get_view(r);

    return view == NULL || view->settled ? NGX_OK
                                         : ngx_http_keygate_settle(r, view);
}


/* ----- the answer to a denied request ----- */

/* Whose denial auth_request hands on with the challenge of its subrequest. */
static ngx_http_keygate_asked_t *
ngx_http_keygate_handed_on(ngx_http_request_t *r, ngx_http_keygate_ctx_t *ctx)
{
    ngx_table_elt_t          *h;
    ngx_http_keygate_view_t  *view;

    h = r->headers_out.www_authenticate;

    if (h == NULL || h->hash == 0) {
        return NULL;
    }

    for (view = ctx->subrequests; view; view = view->next) {
        if (view->denied && h->value.data == view->challenge) {
            return view->denied;
        }
    }

    return NULL;
}


/* Adds the headers of a denial, but for a challenge that auth_request has handed on. */
static ngx_int_t
ngx_http_keygate_add_headers(ngx_http_request_t *r,
    ngx_http_keygate_view_t *view, ngx_http_keygate_asked_t *denied)
{
    size_t            i;
    ngx_uint_t        challenge;
    keygate_header    header;
    ngx_table_elt_t  *h;

    for (i = 0;
         keygate_denial_header(&denied->policy->policy, &denied->decision, i,
                               &header);
         i++)
    {
        if (ngx_http_keygate_is(header.name, "Content-Type")) {
            if (view->answer) {
                r->headers_out.content_type.data = (u_char *) header.value.ptr;
                r->headers_out.content_type.len = header.value.len;
                r->headers_out.content_type_len = header.value.len;
                r->headers_out.content_type_lowcase = NULL;
                r->headers_out.charset.len = 0;
            }

            continue;
        }

        challenge = ngx_http_keygate_is(header.name, "WWW-Authenticate");

        if (challenge && view->denied == NULL) {
            continue;
        }

        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(h, sizeof(ngx_table_elt_t));

        h->hash = 1;
        h->key.data = (u_char *) header.name.ptr;
        h->key.len = header.name.len;
        h->value.data = (u_char *) header.value.ptr;
        h->value.len = header.value.len;

        if (challenge && r != r->main) {
            /* where auth_request looks for it */
            r->headers_out.www_authenticate = h;
            view->challenge = h->value.data;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_keygate_header_filter(ngx_http_request_t *r)
{
    ngx_buf_t                 *b;
    keygate_str                text;
    ngx_http_keygate_view_t   *view;
    ngx_http_keygate_asked_t  *denied, *handed_on;

    if (r->headers_out.status != NGX_HTTP_UNAUTHORIZED) {
        return ngx_http_next_header_filter(r);
    }

    view = ngx_http_keygate_get_view(r);

    if (view == NULL) {
        return ngx_http_next_header_filter(r);
    }

    /* the answer may have variables in it */

    if (!view->settled && ngx_http_keygate_settle(r, view) != NGX_OK) {
        return NGX_ERROR;
    }

    denied = view->denied;

    handed_on = view->answer || denied
                ? ngx_http_keygate_handed_on(r, view->ctx) : NULL;

    if (denied == NULL) {
        denied = handed_on;

    } else if (handed_on) {
        r->headers_out.www_authenticate->hash = 0;
    }

    if (denied && ngx_http_keygate_add_headers(r, view, denied) != NGX_OK) {
        return NGX_ERROR;
    }

    if (denied == NULL || !view->answer) {
        /* not the gate's, or redirected since: an error_page gives the body */
        return ngx_http_next_header_filter(r);
    }

    b = ngx_calloc_buf(r->pool);
    view->body = ngx_alloc_chain_link(r->pool);
    if (b == NULL || view->body == NULL) {
        return NGX_ERROR;
    }

    text = ngx_http_keygate_cstr(keygate_denial_body(&denied->decision));

    b->pos = (u_char *) text.ptr;
    b->last = b->pos + text.len;
    b->memory = 1;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    view->body->buf = b;
    view->body->next = NULL;

    ngx_http_clear_content_length(r);
    r->headers_out.content_length_n = text.len;

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_keygate_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t              *body;
    ngx_http_keygate_view_t  *view;

    view = ngx_http_get_module_ctx(r, ngx_http_keygate_module);

    if (view == NULL || view->body == NULL || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    body = view->body;
    view->body = NULL;

    /* nginx hands over the whole of its built-in page at once */

    for ( /* void */ ; in; in = in->next) {
        in->buf->pos = in->buf->last;
    }

    return ngx_http_next_body_filter(r, body);
}


/* ----- variables ----- */

static keygate_str
ngx_http_keygate_verdict_text(ngx_http_request_t *r,
    ngx_http_keygate_asked_t *asked)
{
    return ngx_http_keygate_cstr(asked->decision.verdict == KEYGATE_ALLOW
                                 ? "allow" : "deny");
}


static keygate_str
ngx_http_keygate_reason_text(ngx_http_request_t *r,
    ngx_http_keygate_asked_t *asked)
{
    return ngx_http_keygate_cstr(keygate_reason_name(asked->decision.reason));
}


static keygate_str
ngx_http_keygate_mode_text(ngx_http_request_t *r,
    ngx_http_keygate_asked_t *asked)
{
    return ngx_http_keygate_cstr(
               keygate_mode_name(asked->decision.effective_mode));
}


static keygate_str
ngx_http_keygate_label_text(ngx_http_request_t *r,
    ngx_http_keygate_asked_t *asked)
{
    if (asked->decision.key < 0) {
        return ngx_http_keygate_str(NULL, 0);
    }

    return keygate_policy_key_label(&asked->policy->policy,
                                    asked->decision.key);
}


static keygate_str
ngx_http_keygate_source_text(ngx_http_request_t *r,
    ngx_http_keygate_asked_t *asked)
{
    if (asked->decision.source < 0) {
        return ngx_http_keygate_str(NULL, 0);
    }

    return keygate_policy_source_name(&asked->policy->policy,
                                      asked->decision.source);
}


static keygate_str
ngx_http_keygate_findings_text(ngx_http_request_t *r,
    ngx_http_keygate_asked_t *asked)
{
    u_char                       *p, *start;
    uint32_t                      findings;
    ngx_http_keygate_loc_conf_t  *kcf;

    kcf = ngx_http_get_module_loc_conf(r, ngx_http_keygate_module);

    findings = kcf->explain
               ? ngx_http_keygate_findings(ngx_http_keygate_get_ctx(r), asked)
               : 0;

    if (findings == 0) {
        return ngx_http_keygate_str(NULL, 0);
    }

    start = ngx_pnalloc(r->pool, NGX_HTTP_KEYGATE_CODES);
    if (start == NULL) {
        return ngx_http_keygate_str(NULL, 0);
    }

    p = ngx_http_keygate_codes(start, start + NGX_HTTP_KEYGATE_CODES,
                               findings, "", " ");

    return ngx_http_keygate_str(start, p - start);
}


/* The decision record. Nothing in it needs escaping: a source's name is a token. */
static keygate_str
ngx_http_keygate_decision_text(ngx_http_request_t *r,
    ngx_http_keygate_asked_t *asked)
{
    size_t                        size;
    u_char                       *p, *start, *last;
    ngx_str_t                     name;
    keygate_str                   source;
    ngx_http_keygate_loc_conf_t  *kcf;

    size = 256 + NGX_HTTP_KEYGATE_CODES;

    start = ngx_pnalloc(r->pool, size);
    if (start == NULL) {
        return ngx_http_keygate_str(NULL, 0);
    }

    last = start + size;

    p = ngx_slprintf(start, last, "{\"verdict\":\"%s\",\"reason\":\"%s\","
                     "\"effective_mode\":\"%s\",\"source\":",
                     asked->decision.verdict == KEYGATE_ALLOW
                     ? "allow" : "deny",
                     keygate_reason_name(asked->decision.reason),
                     keygate_mode_name(asked->decision.effective_mode));

    source = ngx_http_keygate_source_text(r, asked);

    if (source.len) {
        name.data = (u_char *) source.ptr;
        name.len = source.len;
        p = ngx_slprintf(p, last, "\"%V\",\"header_index\":%uz", &name,
                         asked->position);

    } else {
        p = ngx_slprintf(p, last, "null,\"header_index\":null");
    }

    if (asked->decision.key < 0) {
        p = ngx_slprintf(p, last, ",\"key_index\":null");

    } else {
        p = ngx_slprintf(p, last, ",\"key_index\":%d",
                         (int) asked->decision.key);
    }

    kcf = ngx_http_get_module_loc_conf(r, ngx_http_keygate_module);

    if (kcf->explain) {
        p = ngx_slprintf(p, last, ",\"findings\":[");
        p = ngx_http_keygate_codes(p, last,
                ngx_http_keygate_findings(ngx_http_keygate_get_ctx(r), asked),
                "\"", ",");
        p = ngx_slprintf(p, last, "]");
    }

    p = ngx_slprintf(p, last, "}");

    return ngx_http_keygate_str(start, p - start);
}


static ngx_int_t
ngx_http_keygate_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    keygate_str                text;
    ngx_http_keygate_view_t   *view;
    ngx_http_keygate_asked_t  *asked;

    view = ngx_http_keygate_get_view(r);
    asked = NULL;

    if (view) {
        asked = view->last;

        if (asked == NULL && view->ctx->asked.policy) {
            /* not asked about itself: of the main request, or of a subrequest */
            asked = view->ctx->main.last ? view->ctx->main.last
                                         : &view->ctx->asked;
        }
    }

    if (asked) {
        text = (*(ngx_http_keygate_text_pt *) data)(r, asked);

        if (text.len) {
            v->data = (u_char *) text.ptr;
            v->len = text.len;
            v->valid = 1;
            v->no_cacheable = 1;
            v->not_found = 0;

            return NGX_OK;
        }
    }

    v->not_found = 1;

    return NGX_OK;
}


static struct {
    ngx_str_t                 name;
    ngx_http_keygate_text_pt  text;
} ngx_http_keygate_variables[] = {
    { ngx_string("keygate_verdict"), ngx_http_keygate_verdict_text },
    { ngx_string("keygate_reason"), ngx_http_keygate_reason_text },
    { ngx_string("keygate_effective_mode"), ngx_http_keygate_mode_text },
    { ngx_string("keygate_key_label"), ngx_http_keygate_label_text },
    { ngx_string("keygate_source"), ngx_http_keygate_source_text },
    { ngx_string("keygate_decision"), ngx_http_keygate_decision_text },
    { ngx_string("keygate_findings"), ngx_http_keygate_findings_text },
    { ngx_null_string, NULL }
};


static ngx_int_t
ngx_http_keygate_add_variables(ngx_conf_t *cf)
{
    ngx_uint_t            i;
    ngx_http_variable_t  *var;

    for (i = 0; ngx_http_keygate_variables[i].name.len; i++) {

        var = ngx_http_add_variable(cf, &ngx_http_keygate_variables[i].name,
                                    NGX_HTTP_VAR_NOCACHEABLE);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = ngx_http_keygate_variable;
        var->data = (uintptr_t) &ngx_http_keygate_variables[i].text;
    }

    return NGX_OK;
}


/* ----- the configuration ----- */

static void
ngx_http_keygate_wipe_secrets(void *data)
{
    ngx_http_keygate_main_conf_t  *kmcf = data;

    ngx_http_keygate_secret_t  *secret;

    while (kmcf->secrets) {
        secret = kmcf->secrets;
        kmcf->secrets = secret->next;

        ngx_explicit_memzero(secret->data, secret->len);
        ngx_free(secret);
    }
}


static void
ngx_http_keygate_wipe_policy(void *data)
{
    ngx_http_keygate_policy_t  *p = data;

    keygate_policy_wipe(&p->policy);
}


static void *
ngx_http_keygate_create_main_conf(ngx_conf_t *cf)
{
    ngx_pool_cleanup_t            *cln;
    ngx_http_keygate_main_conf_t  *kmcf;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_http_keygate_main_conf_t));
    if (cln == NULL) {
        return NULL;
    }

    kmcf = cln->data;
    ngx_memzero(kmcf, sizeof(ngx_http_keygate_main_conf_t));
    cln->handler = ngx_http_keygate_wipe_secrets;

    if (ngx_array_init(&kmcf->policies, cf->pool, 4,
                       sizeof(ngx_http_keygate_policy_t *))
        != NGX_OK
        || ngx_array_init(&kmcf->derived, cf->pool, 8,
                          sizeof(ngx_http_keygate_derived_t))
           != NGX_OK)
    {
        return NULL;
    }

    return kmcf;
}


static void *
ngx_http_keygate_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_keygate_loc_conf_t  *kcf;

    kcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_keygate_loc_conf_t));
    if (kcf == NULL) {
        return NULL;
    }

    kcf->enable = NGX_CONF_UNSET;
    kcf->explain = NGX_CONF_UNSET;
    kcf->settings.mode = NGX_CONF_UNSET;
    kcf->settings.lan = NGX_CONF_UNSET;
    kcf->settings.match = NGX_CONF_UNSET;
    kcf->settings.preflight = NGX_CONF_UNSET;
    kcf->settings.strip = NGX_CONF_UNSET;

    return kcf;
}


/* The library's sentence, less the field and the entry: the directive says which it is. */
static char *
ngx_http_keygate_sentence(keygate_config_error *error, char *buf, size_t size)
{
    error->field = KEYGATE_FIELD_CONFIG;

    (void) keygate_config_error_text(error, KEYGATE_LANGUAGE_EN, buf, size);

    return buf;
}


/* Makes a policy, or says what is wrong and which directive is to blame. */
static ngx_int_t
ngx_http_keygate_make(ngx_conf_t *cf, ngx_http_keygate_policy_t *p)
{
    char                          text[NGX_HTTP_KEYGATE_TEXT];
    ngx_uint_t                    i;
    keygate_key                  *keys;
    keygate_config                config;
    keygate_config_error          error;
    ngx_http_keygate_list_t      *list;
    ngx_http_keygate_place_t     *place;
    ngx_http_keygate_settings_t  *s;

    s = &p->settings;

    keygate_config_init(&config, sizeof(keygate_config));

    /* what was not given is -1 here, and 0 is what the library takes then */

    config.auth_mode = (keygate_mode) ngx_max(s->mode, 0);
    config.match = (int32_t) ngx_max(s->match, 0);
    config.preflight = (int32_t) ngx_max(s->preflight, 0);
    config.strip = (int32_t) ngx_max(s->strip, 0);

    if (s->lan == 1) {
        config.flags |= KEYGATE_ALLOW_LAN_ACCESS;
    }

    if (s->identity) {
        config.identity_header = *(keygate_str *) s->identity->entries.elts;
    }

    if (s->origin) {
        config.allow_origin = *(keygate_str *) s->origin->entries.elts;
    }

    if (s->keys) {
        keys = s->keys->entries.elts;

        if (s->keys->entries.nelts == 1 && keys[0].label.len == 0) {
            config.api_key = keys[0].secret;

        } else {
            config.keys = keys;
            config.key_count = s->keys->entries.nelts;
        }
    }

    if (s->sources) {
        config.sources = s->sources->entries.elts;
        config.source_count = s->sources->entries.nelts;
    }

    if (s->exempt) {
        config.exempt = s->exempt->entries.elts;
        config.exempt_count = s->exempt->entries.nelts;
    }

    ngx_memzero(&error, sizeof(keygate_config_error));
    error.size = sizeof(keygate_config_error);

    if (keygate_policy_init(&p->policy, sizeof(keygate_policy), &config,
                            &error)
        == KEYGATE_OK)
    {
        return NGX_OK;
    }

    switch (error.field) {

    case KEYGATE_FIELD_SOURCES:
    case KEYGATE_FIELD_SOURCE_NAME:
    case KEYGATE_FIELD_SCHEME:
        list = s->sources;
        break;

    case KEYGATE_FIELD_IDENTITY_HEADER:
        list = s->identity;
        break;

    case KEYGATE_FIELD_ALLOW_ORIGIN:
        list = s->origin;
        break;

    case KEYGATE_FIELD_EXEMPT:
        list = s->exempt;
        break;

    default:
        list = s->keys;
    }

    ngx_http_keygate_sentence(&error, text, sizeof(text));

    if (list == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "keygate: %s", text);
        return NGX_ERROR;
    }

    /* without an entry it is about their number: the last is one too many */

    i = ngx_min(error.index, list->places.nelts - 1);
    place = (ngx_http_keygate_place_t *) list->places.elts + i;

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "%V: %s in %V:%ui",
                  &place->directive, text, &place->file, place->line);

    return NGX_ERROR;
}


/* The policy of these settings. NULL: an error, which has been said. */
static ngx_http_keygate_policy_t *
ngx_http_keygate_policy(ngx_conf_t *cf, ngx_http_keygate_settings_t *settings)
{
    ngx_uint_t                      i;
    ngx_pool_cleanup_t             *cln;
    ngx_http_keygate_policy_t      *p, *rules, **policies;
    ngx_http_keygate_settings_t     other;
    ngx_http_keygate_main_conf_t   *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_keygate_module);
    policies = kmcf->policies.elts;
    rules = NULL;

    for (i = 0; i < kmcf->policies.nelts; i++) {
        p = policies[i];

        if (ngx_memcmp(&p->settings, settings, sizeof(p->settings)) == 0) {
            return p;
        }

        if (rules == NULL
            && ngx_memcmp(&p->settings, settings,
                          offsetof(ngx_http_keygate_settings_t, strip))
               == 0)
        {
            rules = p;
        }
    }

    policies = ngx_array_push(&kmcf->policies);
    if (policies == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_http_keygate_policy_t));
    if (cln == NULL) {
        return NULL;
    }

    p = cln->data;
    ngx_memzero(p, sizeof(ngx_http_keygate_policy_t));
    cln->handler = ngx_http_keygate_wipe_policy;

    p->settings = *settings;
    p->rules = rules ? rules : p;
    *policies = p;

    if (ngx_http_keygate_make(cf, p) != NGX_OK) {
        return NULL;
    }

    p->lengths = keygate_policy_name_lengths(&p->policy);

    if (keygate_policy_identity_header(&p->policy).len) {
        p->lengths |= NGX_HTTP_KEYGATE_CONNECTION;
    }

    p->strict = p;

    if (keygate_policy_effective_mode(&p->policy) == KEYGATE_MODE_OFF) {

        /* it takes nothing for a key, so another one is asked about users */

        other = *settings;
        other.mode = KEYGATE_MODE_STRICT;

        p->strict = ngx_http_keygate_policy(cf, &other);
        if (p->strict == NULL) {
            return NULL;
        }
    }

    other = *settings;

    for (i = 0; i < NGX_HTTP_KEYGATE_STRIPS; i++) {
        other.strip = i;

        p->strips[i] = ngx_http_keygate_policy(cf, &other);
        if (p->strips[i] == NULL) {
            return NULL;
        }
    }

    return p;
}


/* Says what is probably a mistake, once for all policies that decide alike. */
static void
ngx_http_keygate_lint(ngx_conf_t *cf, ngx_http_keygate_loc_conf_t *kcf,
    ngx_http_keygate_policy_t *p)
{
    uint32_t  bit, lints;

    if (p->rules->linted) {
        return;
    }

    p->rules->linted = 1;

    lints = keygate_lints(&p->policy);

    for (bit = 1; bit; bit <<= 1) {
        if (lints & bit) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "keygate lint: %s: %s in %V:%ui",
                          keygate_lint_name(bit),
                          keygate_lint_text(bit, KEYGATE_LANGUAGE_EN),
                          &kcf->place.file, kcf->place.line);
        }
    }
}


/* A header that nginx ignores before the gate is asked can never hold a key. */
static ngx_int_t
ngx_http_keygate_look_at_sources(ngx_conf_t *cf, ngx_http_keygate_list_t *list)
{
    char                       c;
    size_t                     n;
    ngx_uint_t                 i;
    keygate_source            *source;
    ngx_http_keygate_place_t  *place;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    if (list == NULL || !cscf->ignore_invalid_headers) {
        return NGX_OK;
    }

    source = list->entries.elts;
    place = list->places.elts;

    for (i = 0; i < list->entries.nelts; i++) {
        for (n = 0; n < source[i].name.len; n++) {
            c = source[i].name.ptr[n];

            if (c == '_' ? cscf->underscores_in_headers
                         : c == '-' || isalnum((u_char) c))
            {
                continue;
            }

            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "%V: nginx ignores headers with \"%c\" in their "
                          "names without \"%s\" in %V:%ui",
                          &place[i].directive, c,
                          c == '_' ? "underscores_in_headers on"
                                   : "ignore_invalid_headers off",
                          &place[i].file, place[i].line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_keygate_inherit(ngx_http_keygate_list_t **list,
    ngx_http_keygate_list_t *inherited)
{
    if (*list == NULL) {
        *list = inherited;
    }
}


static char *
ngx_http_keygate_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_keygate_loc_conf_t  *prev = parent;
    ngx_http_keygate_loc_conf_t  *conf = child;

    ngx_http_keygate_policy_t     *p;
    ngx_http_keygate_main_conf_t  *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_keygate_module);

    /* also what each server replaces, and what stands where the gate is off, must be right */

    if (ngx_http_keygate_policy(cf, &prev->settings) == NULL) {
        return NGX_CONF_ERROR;
    }

    if (conf->enable == NGX_CONF_UNSET) {
        conf->place = prev->place;
    }

    ngx_conf_merge_value(conf->enable, prev->enable, 0);
    ngx_conf_merge_value(conf->explain, prev->explain, 0);
    ngx_conf_merge_value(conf->settings.lan, prev->settings.lan,
                         NGX_CONF_UNSET);
    ngx_conf_merge_value(conf->settings.mode, prev->settings.mode,
                         NGX_CONF_UNSET);
    ngx_conf_merge_value(conf->settings.match, prev->settings.match,
                         NGX_CONF_UNSET);
    ngx_conf_merge_value(conf->settings.preflight, prev->settings.preflight,
                         NGX_CONF_UNSET);
    ngx_conf_merge_value(conf->settings.strip, prev->settings.strip,
                         KEYGATE_STRIP_SOURCES);

    /* a list of one's own replaces the inherited one */

    ngx_http_keygate_inherit(&conf->settings.keys, prev->settings.keys);
    ngx_http_keygate_inherit(&conf->settings.sources, prev->settings.sources);
    ngx_http_keygate_inherit(&conf->settings.exempt, prev->settings.exempt);
    ngx_http_keygate_inherit(&conf->settings.identity, prev->settings.identity);
    ngx_http_keygate_inherit(&conf->settings.origin, prev->settings.origin);

    /* what decided elsewhere may be forwarded here, also where the gate is off */

    kmcf->strips |= (ngx_uint_t) 1 << conf->settings.strip;

    p = ngx_http_keygate_policy(cf, &conf->settings);

    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    if (!conf->enable) {
        return NGX_CONF_OK;
    }

    if (conf->settings.mode == NGX_CONF_UNSET) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "keygate is on without keygate_auth_mode: it %s in %V:%ui",
                      keygate_status_text(KEYGATE_ERR_MODE,
                                          KEYGATE_LANGUAGE_EN),
                      &conf->place.file, conf->place.line);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_keygate_look_at_sources(cf, conf->settings.sources) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_http_keygate_lint(cf, conf, p);

    p->used = 1;
    p->strict->used = 1;
    kmcf->on = 1;
    conf->policy = p;

    return NGX_CONF_OK;
}


static void
ngx_http_keygate_set_place(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_keygate_place_t *place)
{
    place->directive = cmd->name;
    place->file = cf->conf_file->file.name;
    place->line = cf->conf_file->line;
}


static char *
ngx_http_keygate_enable(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keygate_loc_conf_t  *kcf = conf;

    ngx_http_keygate_set_place(cf, cmd, &kcf->place);

    return ngx_conf_set_flag_slot(cf, cmd, conf);
}


/* One of several names. Any other is not shown: it may be a key. */
static char *
ngx_http_keygate_choice(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                     *field;
    ngx_str_t                     *value;
    ngx_conf_enum_t               *e;
    ngx_http_keygate_main_conf_t  *kmcf;

    field = (ngx_int_t *) ((char *) conf + cmd->offset);

    if (*field != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (e = cmd->post; e->name.len; e++) {
        if (e->name.len == value[1].len
            && ngx_memcmp(e->name.data, value[1].data, e->name.len) == 0)
        {
            kmcf = ngx_http_conf_get_module_main_conf(cf,
                                                      ngx_http_keygate_module);
            kmcf->configured = 1;
            *field = e->value;

            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V: %s", &cmd->name,
                       keygate_status_text((keygate_status) e->value,
                                           KEYGATE_LANGUAGE_EN));
    return NGX_CONF_ERROR;
}


/* "label=..." as the second argument. Whatever else stands there may be a key: it is not shown. */
static char *
ngx_http_keygate_label(ngx_conf_t *cf, keygate_str *label)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (cf->args->nelts < 3) {
        *label = ngx_http_keygate_str(NULL, 0);
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[2].data, "label=", 6) != 0) {
        ngx_explicit_memzero(value[2].data, value[2].len);
        return "takes nothing but label=NAME after its first argument";
    }

    *label = ngx_http_keygate_str(value[2].data + 6, value[2].len - 6);

    return NGX_CONF_OK;
}


/* The next entry in a list of this level, which is begun if need be. */
static void *
ngx_http_keygate_push(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_keygate_list_t **list, size_t size)
{
    ngx_http_keygate_place_t      *place;
    ngx_http_keygate_main_conf_t  *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_keygate_module);
    kmcf->configured = 1;

    if (*list == NULL) {
        *list = ngx_palloc(cf->pool, sizeof(ngx_http_keygate_list_t));

        if (*list == NULL
            || ngx_array_init(&(*list)->entries, cf->pool, 2, size) != NGX_OK
            || ngx_array_init(&(*list)->places, cf->pool, 2,
                              sizeof(ngx_http_keygate_place_t))
               != NGX_OK)
        {
            return NULL;
        }
    }

    place = ngx_array_push(&(*list)->places);
    if (place == NULL) {
        return NULL;
    }

    ngx_http_keygate_set_place(cf, cmd, place);

    return ngx_array_push(&(*list)->entries);
}


/* Room for what is wiped, and freed, as soon as the policies are made. */
static ngx_http_keygate_secret_t *
ngx_http_keygate_add_secret(ngx_conf_t *cf, size_t len)
{
    ngx_http_keygate_secret_t     *secret;
    ngx_http_keygate_main_conf_t  *kmcf;

    secret = ngx_alloc(sizeof(ngx_http_keygate_secret_t) + len, cf->log);
    if (secret == NULL) {
        return NULL;
    }

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_keygate_module);

    secret->next = kmcf->secrets;
    secret->len = len;
    kmcf->secrets = secret;

    return secret;
}


static char *
ngx_http_keygate_api_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keygate_loc_conf_t  *kcf = conf;

    char                       *rv;
    ngx_str_t                  *value;
    keygate_str                 label;
    keygate_key                *key;
    ngx_http_keygate_secret_t  *secret;

    value = cf->args->elts;

    secret = ngx_http_keygate_add_secret(cf, value[1].len);

    if (secret) {
        ngx_memcpy(secret->data, value[1].data, value[1].len);
    }

    ngx_explicit_memzero(value[1].data, value[1].len);

    rv = ngx_http_keygate_label(cf, &label);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    key = ngx_http_keygate_push(cf, cmd, &kcf->settings.keys,
                                sizeof(keygate_key));

    if (secret == NULL || key == NULL) {
        return NGX_CONF_ERROR;
    }

    key->secret = ngx_http_keygate_str(secret->data, secret->len);
    key->label = label;

    return NGX_CONF_OK;
}


/* Takes the keys of a file. The label of the directive is for lines that have none. */
static char *
ngx_http_keygate_read_keys(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_keygate_loc_conf_t *kcf, ngx_str_t *path, keygate_str text,
    keygate_str label)
{
    char                  why[NGX_HTTP_KEYGATE_TEXT];
    ngx_uint_t            found;
    keygate_key           next, *key;
    keygate_key_file      file;
    keygate_config_error  error;

    keygate_key_file_begin(&file, sizeof(keygate_key_file), text);

    for (found = 0; keygate_key_file_next(&file, &next); found++) {

        key = ngx_http_keygate_push(cf, cmd, &kcf->settings.keys,
                                    sizeof(keygate_key));
        if (key == NULL) {
            return NGX_CONF_ERROR;
        }

        key->secret = next.secret;
        key->label = next.label.len ? next.label : label;
    }

    ngx_memzero(&error, sizeof(keygate_config_error));
    error.size = sizeof(keygate_config_error);

    if (keygate_key_file_end(&file, &error) != KEYGATE_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%V: \"%V\": %s",
                           &cmd->name, path,
                           ngx_http_keygate_sentence(&error, why, sizeof(why)));
        return NGX_CONF_ERROR;
    }

    if (found == 0) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0, "%V: \"%V\" holds no key",
                           &cmd->name, path);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_keygate_api_key_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keygate_loc_conf_t  *kcf = conf;

    char                       *rv;
    ssize_t                     n;
    ngx_str_t                   path, *value;
    ngx_file_t                  file;
    keygate_str                 label;
    ngx_file_info_t             fi;
    ngx_http_keygate_secret_t  *secret;

    rv = ngx_http_keygate_label(cf, &label);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    value = cf->args->elts;
    path = value[1];

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));
    file.name = path;
    file.log = cf->log;

    file.fd = ngx_open_file(path.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                            NGX_FILE_OPEN, 0);
    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "%V: " ngx_open_file_n " \"%V\" failed",
                           &cmd->name, &path);
        return NGX_CONF_ERROR;
    }

    rv = NGX_CONF_ERROR;

    if (ngx_fd_info(file.fd, &fi) == NGX_FILE_ERROR
        || !ngx_is_file(&fi)
        || ngx_file_size(&fi) > NGX_HTTP_KEYGATE_FILE_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V: \"%V\" is not a file of at most %d bytes",
                           &cmd->name, &path, NGX_HTTP_KEYGATE_FILE_MAX);
        goto close;
    }

    if (fi.st_mode & (S_IRGRP|S_IROTH)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "%V: \"%V\" can be read by its group or by "
                           "everybody: make it mode 0600",
                           &cmd->name, &path);
    }

    secret = ngx_http_keygate_add_secret(cf, (size_t) ngx_file_size(&fi));
    if (secret == NULL) {
        goto close;
    }

    n = ngx_read_file(&file, secret->data, secret->len, 0);

    if (n == (ssize_t) secret->len) {
        rv = ngx_http_keygate_read_keys(cf, cmd, kcf, &path,
                                        ngx_http_keygate_str(secret->data,
                                                             secret->len),
                                        label);

    } else if (n != NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%V: \"%V\" changed while it was read",
                           &cmd->name, &path);
    }

close:

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", &path);
    }

    return rv;
}


static char *
ngx_http_keygate_source(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keygate_loc_conf_t  *kcf = conf;

    ngx_str_t       *value;
    keygate_source  *source;

    value = cf->args->elts;

    source = ngx_http_keygate_push(cf, cmd, &kcf->settings.sources,
                                   sizeof(keygate_source));
    if (source == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(source, sizeof(keygate_source));
    source->name = ngx_http_keygate_str(value[1].data, value[1].len);

    if (cf->args->nelts < 3) {
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[2].data, "bearer") == 0) {
        source->flags = KEYGATE_SOURCE_BEARER;

    } else if (ngx_strncmp(value[2].data, "scheme=", 7) == 0
               && value[2].len > 7)
    {
        source->scheme = ngx_http_keygate_str(value[2].data + 7,
                                              value[2].len - 7);

    } else {
        return "takes nothing but \"bearer\" or scheme=NAME after the name";
    }

    return NGX_CONF_OK;
}


/* A text in a list of them, which may be one of "once". */
static char *
ngx_http_keygate_text(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                *value;
    keygate_str              *text;
    ngx_http_keygate_list_t  **list;

    list = (ngx_http_keygate_list_t **) ((char *) conf + cmd->offset);

    if (*list && cmd->post) {
        return "is duplicate";
    }

    value = cf->args->elts;

    text = ngx_http_keygate_push(cf, cmd, list, sizeof(keygate_str));
    if (text == NULL) {
        return NGX_CONF_ERROR;
    }

    *text = ngx_http_keygate_str(value[1].data, value[1].len);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_keygate_add_handler(ngx_http_core_main_conf_t *cmcf,
    ngx_http_phases phase, ngx_http_handler_pt handler)
{
    ngx_http_handler_pt  *h;

    h = ngx_array_push(&cmcf->phases[phase].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_keygate_init(ngx_conf_t *cf)
{
    ngx_uint_t                     i, n, strip;
    ngx_http_handler_pt           *h;
    ngx_http_keygate_policy_t    **policies;
    ngx_http_core_main_conf_t     *cmcf;
    ngx_http_keygate_main_conf_t  *kmcf;

    static ngx_str_t  user = ngx_string("remote_user");

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_keygate_module);

    /* the policies are made; they alone need the keys from now on */

    ngx_http_keygate_wipe_secrets(kmcf);

    policies = kmcf->policies.elts;

    for (i = 0; i < kmcf->policies.nelts; i++) {
        for (strip = 0; strip < NGX_HTTP_KEYGATE_STRIPS; strip++) {
            if (policies[i]->used && (kmcf->strips & ((ngx_uint_t) 1 << strip)))
            {
                policies[i]->strips[strip]->used = 1;
            }
        }
    }

    for (i = 0; i < kmcf->policies.nelts; i++) {
        if (!policies[i]->used) {
            ngx_http_keygate_wipe_policy(policies[i]);
        }
    }

    if (kmcf->configured && !kmcf->on) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "keygate is configured, but \"keygate on\" stands "
                      "nowhere: no request is asked for a key");
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (ngx_http_keygate_add_handler(cmcf, NGX_HTTP_SERVER_REWRITE_PHASE,
                                     ngx_http_keygate_rewrite_handler)
        != NGX_OK
        || ngx_http_keygate_add_handler(cmcf, NGX_HTTP_REWRITE_PHASE,
                                        ngx_http_keygate_rewrite_handler)
           != NGX_OK
        || ngx_http_keygate_add_handler(cmcf, NGX_HTTP_ACCESS_PHASE,
                                        ngx_http_keygate_access_handler)
           != NGX_OK
        || ngx_http_keygate_add_handler(cmcf, NGX_HTTP_PRECONTENT_PHASE,
                                        ngx_http_keygate_precontent_handler)
           != NGX_OK
        || ngx_http_keygate_add_handler(cmcf, NGX_HTTP_LOG_PHASE,
                                        ngx_http_keygate_log_handler)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* nginx calls those of this phase from the first to the last: before the access log */

    h = cmcf->phases[NGX_HTTP_LOG_PHASE].handlers.elts;
    n = cmcf->phases[NGX_HTTP_LOG_PHASE].handlers.nelts;

    ngx_memmove(h + 1, h, (n - 1) * sizeof(ngx_http_handler_pt));
    h[0] = ngx_http_keygate_log_handler;

    kmcf->user = ngx_http_get_variable_index(cf, &user);
    if (kmcf->user == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_keygate_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_keygate_body_filter;

    return NGX_OK;
}


/*
 * What nginx and the modules that come with it make of a request header and keep: the names that are
 * not $http_HEADER or $cookie_NAME. Left out are what holds no text of a header ($remote_addr of
 * realip, $geoip_..., $gzip_ratio), $host, which is no longer read from the list, and what copies
 * what it is told to (set, map, split_clients, secure_link, auth_request_set).
 */
static struct {
    ngx_str_t  name;
    ngx_str_t  header;
} ngx_http_keygate_made_of[] = {
    { ngx_string("remote_user"), ngx_string("authorization") },
    { ngx_string("proxy_add_x_forwarded_for"), ngx_string("x_forwarded_for") },
    { ngx_string("content_type"), ngx_string("content_type") },
    { ngx_string("content_length"), ngx_string("content_length") },
    { ngx_string("uid_got"), ngx_string("cookie") },
    { ngx_string("uid_set"), ngx_string("cookie") },
    { ngx_string("msie"), ngx_string("user_agent") },
    { ngx_string("modern_browser"), ngx_string("user_agent") },
    { ngx_string("ancient_browser"), ngx_string("user_agent") },
    { ngx_string("invalid_referer"), ngx_string("referer") },
    { ngx_string("slice_range"), ngx_string("range") },
    { ngx_null_string, ngx_null_string }
};


/* The header that a variable is made of, or an empty name. */
static ngx_str_t
ngx_http_keygate_header_of(ngx_http_variable_t *v)
{
    ngx_uint_t  i;
    ngx_str_t   header;

    static ngx_str_t  cookie = ngx_string("cookie");

    ngx_str_null(&header);

    if (v->flags & NGX_HTTP_VAR_CHANGEABLE) {
        /* of set, map, perl: whatever its name is */
        return header;
    }

    if (v->name.len > 5 && ngx_strncmp(v->name.data, "http_", 5) == 0) {
        header.data = v->name.data + 5;
        header.len = v->name.len - 5;
        return header;
    }

    if (v->name.len > 7 && ngx_strncmp(v->name.data, "cookie_", 7) == 0) {
        return cookie;
    }

    for (i = 0; ngx_http_keygate_made_of[i].name.len; i++) {
        if (v->name.len == ngx_http_keygate_made_of[i].name.len
            && ngx_strncmp(v->name.data, ngx_http_keygate_made_of[i].name.data,
                           v->name.len)
               == 0)
        {
            return ngx_http_keygate_made_of[i].header;
        }
    }

    return header;
}


/* Only now has every module said which variables it wants an index of. */
static ngx_int_t
ngx_http_keygate_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_str_t                      header;
    ngx_http_variable_t           *v;
    ngx_http_core_main_conf_t     *cmcf;
    ngx_http_keygate_derived_t    *derived;
    ngx_http_keygate_main_conf_t  *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_keygate_module);

    if (kmcf == NULL) {
        /* no "http" */
        return NGX_OK;
    }

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module);

    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {
        header = ngx_http_keygate_header_of(&v[i]);

        if (header.len == 0) {
            continue;
        }

        derived = ngx_array_push(&kmcf->derived);
        if (derived == NULL) {
            return NGX_ERROR;
        }

        derived->index = i;
        derived->header = header;
    }

    return NGX_OK;
}
