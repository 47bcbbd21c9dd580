/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include "guest/names/json_text.h"
#include "guest/names/runtime_state.h"

#include <string.h>

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "6f2c3c1e-5b1a-4e0f-9c55-0a1b2c3d4e5f"

static void
check_state (gboolean done, VjRuntimeState *state)
{
  const char *const texts[] = { state->name, state->image, state->pod, state->pod_uid, state->namespace_ };

  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      FUZZ_CHECK (texts[i] == NULL || (*texts[i] != '\0' && g_utf8_validate (texts[i], -1, NULL)));
    }
  FUZZ_CHECK (!done || state->name != NULL || state->image != NULL || state->pod_uid != NULL);
  FUZZ_CHECK (!state->sandbox || strcmp (state->name, "POD") == 0);
  vj_runtime_state_clear (state);
}

/* Pieces lie within the text. json-glib takes more than JSON (an array without an end, say), so it may find others. */
static void
check_pieces (const char *text, gsize size)
{
  VjScan scan = vj_scan_init (text, size);
  VjScan inside;
  VjScan value;
  g_autoptr (JsonNode) whole = vj_json_parse (text, size);

  if (whole == NULL || !vj_json_inside (&scan, '[', &inside))
    return;
  while (vj_json_next_element (&inside, &value))
    FUZZ_CHECK (value.at >= text && value.end <= text + size && value.at <= value.end);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *text = (const char *)data;
  VjRuntimeState state;
  gboolean done = vj_runtime_state_parse_docker (text, size, UID, &state);

  FUZZ_CHECK (state.pod_uid == NULL || strcmp (state.pod_uid, UID) == 0);
  check_state (done, &state);
  done = vj_runtime_state_parse_oci (text, size, &state);
  check_state (done, &state);
  done = vj_runtime_state_parse_storage (text, size, ID, &state);
  check_state (done, &state);
  check_pieces (text, size);
  return 0;
}
