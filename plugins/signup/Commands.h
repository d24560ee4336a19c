/// The commands of matrixosctl that go with the plugin's routes.
#pragma once

#include <matrixos/command.hpp>

namespace matrixos::signup {

inline constexpr mos_command_option kListOptions[] = {
    {"state", "STATE", "only these: waiting, provisioning, done, failed, deleting, deleted", MOS_OPTION_QUERY, 0},
    {"before", "ID", "only those that are older than this one", MOS_OPTION_QUERY, 0},
    {"limit", "N", "at most so many, 1000 if not said", MOS_OPTION_QUERY | MOS_OPTION_NUMBER, 0}};

inline constexpr mos_command kCommands[] = {
    Command("signups list", "Who signed up, newest first", "GET", "/signups")
        .columns("ID=id USER=userId EMAIL=email HANDLE=handle WANTED=wantedHandle STATE=state TRIES=attempts "
                 "RECEIVED=receivedAt:ago ERROR=lastError")
        .options(kListOptions),
    Command("signups show", "One sign-up, by its id or its user's", "GET", "/signups/{ID}").arguments("ID"),
    Command("signups retry", "Tries one now that failed or waits", "POST", "/signups/{ID}/retry")
        .arguments("ID")
        .done("{ID} is tried now")};

} // namespace matrixos::signup
