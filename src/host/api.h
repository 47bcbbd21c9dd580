/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/snapshot.h"

/* Renderings of a snapshot; field names are documented in virtjoule(1) and are stable. Pure. The text is the caller's. */
char *vj_api_list_json (const VjSnapshot *snapshot);   /* GET /v1/domains */
char *vj_api_status_json (const VjSnapshot *snapshot); /* GET /v1/status */
char *vj_api_metrics (const VjSnapshot *snapshot);     /* GET /metrics */

/* The agent's socket in its runtime directory. */
#define VJ_API_SOCKET "api.sock"
