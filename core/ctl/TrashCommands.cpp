#include "ctl/TrashCommands.h"

#include "ctl/DaemonClient.h"
#include "ctl/Output.h"
#include "ctl/Table.h"

#include <iostream>

namespace matrixos::ctl {

int trashList(const Invocation &invocation) {
  const std::string body = DaemonClient(invocation).call("GET", "/trash");
  if (printedJson(invocation, body)) return 0;
  Table table({"ID", "HANDLE", "USER", "DELETED"});
  for (const auto &item : objects(json::parse(body)))
    table.add({text(*item, "id"), text(*item, "handle"), text(*item, "clerkUserId"), ago(text(*item, "deletedAt"))});
  table.print(std::cout);
  return 0;
}

int trashRestore(const Invocation &invocation) {
  const std::string path = "/trash/" + http::percentEncode(invocation.arguments[0]) + "/restore";
  const std::string body = DaemonClient(invocation).call("POST", path);
  if (printedJson(invocation, body)) return 0;
  std::cout << "the data is back; " << text(*json::parseObject(body), "handle")
            << " gets it with the next provision of its owner\n";
  return 0;
}

int trashPurge(const Invocation &invocation) {
  const std::string &id = invocation.arguments[0];
  if (!invocation.has("yes")) {
    throw UsageError("\"trash purge\" removes the data for good: it needs --yes; nothing was changed");
  }
  const std::string body = DaemonClient(invocation).call("DELETE", "/trash/" + http::percentEncode(id));
  if (!printedJson(invocation, body)) std::cout << id << " removed\n";
  return 0;
}

int handlesRelease(const Invocation &invocation) {
  const std::string &handle = invocation.arguments[0];
  const std::string body =
      DaemonClient(invocation).call("POST", "/handles/" + http::percentEncode(handle) + "/release");
  if (!printedJson(invocation, body)) std::cout << handle << " is free\n";
  return 0;
}

} // namespace matrixos::ctl
