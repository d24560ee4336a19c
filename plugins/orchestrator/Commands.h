/// The commands of matrixosctl that go with the plugin's routes.
#pragma once

#include <matrixos/command.hpp>

namespace matrixos::orchestrator {

inline constexpr mos_command_option kListOptions[] = {
    {"status", "STATUS", "only these: running, stopped, provisioning, failed …", MOS_OPTION_QUERY, 0}};
inline constexpr mos_command_option kProvisionOptions[] = {
    {"user", "ID", "the owner's Clerk user id", MOS_OPTION_REQUIRED, 0}};

inline constexpr mos_command kCommands[] = {
    Command("containers list", "All instances, newest first", "GET", "/containers")
        .columns("HANDLE=handle STATUS=status USER=clerkUserId GATEWAY=port SHELL=shellPort CREATED=createdAt:ago "
                 "LAST_ACTIVE=lastActive:ago")
        .options(kListOptions),
    Command("containers show", "One instance", "GET", "/containers/{HANDLE}").arguments("HANDLE"),
    // A first pull may take long; the daemon has its own limit for it.
    Command("containers provision", "Creates an instance and starts it", "POST", "/containers/provision")
        .arguments("HANDLE")
        .options(kProvisionOptions)
        .body(R"({"handle": "{HANDLE}", "clerkUserId": "{--user}"})")
        .progress("/containers/{HANDLE}")
        .takesLong()
        .done("{HANDLE} is {status} (gateway port {port}, shell port {shellPort})"),
    Command("containers start", "Wakes an instance", "POST", "/containers/{HANDLE}/start")
        .arguments("HANDLE")
        .done("{HANDLE} is running"),
    Command("containers stop", "Puts an instance to sleep", "POST", "/containers/{HANDLE}/stop")
        .arguments("HANDLE")
        .done("{HANDLE} is stopped"),
    Command("containers destroy", "Removes an instance; its data goes to the trash (trash restore brings it back)",
            "DELETE", "/containers/{HANDLE}")
        .arguments("HANDLE")
        .confirm(
            "This removes {HANDLE}'s instance; its data goes to the trash, from where \"matrixosctl trash restore\" "
            "brings it back.")
        .done("{HANDLE} destroyed"),
    Command("trash list", "The data of deleted instances, oldest first", "GET", "/trash")
        .columns("ID=id HANDLE=handle USER=clerkUserId DELETED=deletedAt:ago"),
    Command("trash restore", "Puts it back, for the next provision of its owner", "POST", "/trash/{ID}/restore")
        .arguments("ID")
        .done("the data is back; {handle} gets it with the next provision of its owner"),
    Command("trash purge", "Removes it for good", "DELETE", "/trash/{ID}")
        .arguments("ID")
        .confirm("This removes the data {ID} for good.")
        .done("{ID} removed"),
    Command("handles release", "Lets anybody have the handle of a deleted instance", "POST",
            "/handles/{HANDLE}/release")
        .arguments("HANDLE")
        .done("{HANDLE} is free")};

} // namespace matrixos::orchestrator
