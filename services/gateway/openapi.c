#include "services/gateway/gateway.h"

void openapi_init(void)
{
}
void handle_openapi(struct exchange *exchange)
{
    response_fault(exchange, MIRAI_E_NOT_FOUND, NULL);
}
