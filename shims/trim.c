/*
 * A native part for Node: `trim()` gives the pages back to the kernel that malloc holds free (malloc_trim(3)).
 * Node-API is a stable ABI (nodejs.org/api/n-api.html); the two functions used are declared here, since the machine
 * that compiles this need not have Node's headers.
 */
#include <malloc.h>
#include <stddef.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);

extern int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
extern int napi_set_named_property(napi_env, napi_value, const char *, napi_value);

static napi_value trim(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return NULL;
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports);

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function;
  if (napi_create_function(env, "trim", 4, trim, NULL, &function) == 0)
    napi_set_named_property(env, exports, "trim", function);
  return exports;
}
