/* The methods of the knowledge-store as the RPC server wants them; what they do is in methods.c's table. */
#ifndef STORE_METHODS_H
#define STORE_METHODS_H

#include "libcommon/rpc.h"

extern const struct mirai_rpc_method store_rpc_methods[];

#endif
