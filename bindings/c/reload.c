/* Swaps the keys while requests are decided.
 *
 *   ./reload CONFIG KEYS      CONFIG: JSON without keys, KEYS: a key file; kill -HUP reads both again
 *
 * Each line of standard input stands for a request: it is taken for the value of x-api-key, and
 * answered "allow" or "deny" with the reason. One thread decides, another one reloads.
 * A configuration that is refused leaves the one before in force.
 * Exit status: 0 at the end of the input, 2 where the first configuration cannot be used. */
#include <keygate.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 65536

/* A policy, and how many use it: those that decide by it, and one while it is in force. */
typedef struct gate {
  keygate_policy policy;
  unsigned users;
} gate;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static gate *in_force;
static char **files;

static gate *acquire(void) {
  pthread_mutex_lock(&mutex);
  gate *taken = in_force;
  taken->users++;
  pthread_mutex_unlock(&mutex);
  return taken;
}

static void release(gate *taken) {
  pthread_mutex_lock(&mutex);
  bool last = --taken->users == 0;
  pthread_mutex_unlock(&mutex);
  if (last) {
    keygate_policy_wipe(&taken->policy); /* nobody can find it any more */
    free(taken);
  }
}

/* Wipes what the compiler can see is not read again. */
static void wipe(void *at, size_t size) {
  for (volatile char *byte = at; size > 0; size--) {
    *byte++ = 0;
  }
}

static bool slurp(const char *path, char *to, keygate_str *text) {
  FILE *file = fopen(path, "rb");
  size_t length = file == NULL ? 0 : fread(to, 1, FILE_MAX, file);
  bool whole = file != NULL && !ferror(file) && length < FILE_MAX;
  if (file != NULL) {
    fclose(file);
  }
  *text = (keygate_str){to, length};
  return whole;
}

static bool complain(const char *path, const keygate_config_error *error) {
  char why[512];
  keygate_config_error_text(error, KEYGATE_LANGUAGE_EN, why, sizeof why);
  fprintf(stderr, "reload: %s: %s\n", path, why);
  return false;
}

static bool make(keygate_policy *policy, keygate_str config, keygate_str lines) {
  keygate_config_error error = {.size = sizeof error};
  keygate_key keys[9]; /* one more than a policy takes, so that it says so */
  size_t count = 0;
  keygate_key_file file;
  keygate_key_file_begin(&file, sizeof file, lines);
  while (count < sizeof keys / sizeof *keys && keygate_key_file_next(&file, &keys[count])) {
    count++;
  }
  if (keygate_key_file_end(&file, &error) != KEYGATE_OK) {
    return complain(files[1], &error);
  }
  return keygate_policy_parse(policy, sizeof *policy, config, keys, count, &error) == KEYGATE_OK ||
         complain(files[0], &error);
}

/* Puts the files in force. */
static bool reload(void) {
  static char config_text[FILE_MAX], key_text[FILE_MAX];
  keygate_str config, lines;
  gate *fresh = calloc(1, sizeof *fresh);
  bool read = slurp(files[0], config_text, &config) && slurp(files[1], key_text, &lines);
  if (!read) {
    fprintf(stderr, "reload: a file cannot be read, or is longer than %d bytes\n", FILE_MAX - 1);
  }
  bool made = fresh != NULL && read && make(&fresh->policy, config, lines);
  wipe(key_text, sizeof key_text);
  if (!made) {
    free(fresh); /* a policy that was refused is zeroed */
    return false;
  }
  fresh->users = 1;
  pthread_mutex_lock(&mutex);
  gate *before = in_force;
  in_force = fresh;
  pthread_mutex_unlock(&mutex);
  if (before != NULL) {
    release(before);
  }
  return true;
}

static void *reloader(void *signals) {
  for (int signal; sigwait(signals, &signal) == 0;) {
    fprintf(stderr, reload() ? "reload: in force\n" : "reload: refused; the one before stays in force\n");
  }
  return NULL;
}

int main(int argc, char **argv) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
  if (argc != 3) {
    fputs("usage: reload CONFIG KEYS\n", stderr);
    return 2;
  }
  files = argv + 1;
  if (!reload()) {
    return 2;
  }
  pthread_t thread;
  if (pthread_create(&thread, NULL, reloader, &signals) != 0) {
    return 2;
  }
  char line[512];
  while (fgets(line, sizeof line, stdin) != NULL) {
    keygate_header header = {{"x-api-key", 9}, {line, strcspn(line, "\n")}};
    keygate_request request = {sizeof request, {"POST", 4}, {"/", 1}, &header, 1};
    keygate_decision decision = {.size = sizeof decision};
    gate *taken = acquire();
    bool allow = keygate_decide(&taken->policy, &request, &decision);
    release(taken);
    printf("%s %s\n", allow ? "allow" : "deny", keygate_reason_name(decision.reason));
    fflush(stdout);
  }
  return 0;
}
