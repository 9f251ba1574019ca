/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost-user/rig_vhost_user.h"

int main(int argc, char **argv)
{
    return conformance_main("conformance-vhost-user", vhost_user_rigs, vhost_user_rig_count, argc,
                            argv);
}
