#include "MessageRequest.h"

#include "RequestDocument.h"

#include <matrixos/text/utf8.hpp>

#include <http/codec/Grammar.h>

#include <algorithm>
#include <utility>

namespace matrixos::gateway {

namespace {

Refusal invalid(std::string message) {
  return {400, "invalid_request_error", std::move(message)};
}

/// "_20250305" or "-2026-01-12": what may follow the name that a list gives.
bool isDate(std::string_view text) noexcept {
  if (text.size() < 9 || (text[0] != '_' && text[0] != '-')) return false;
  return std::all_of(text.begin() + 1, text.end(), [](char c) { return (c >= '0' && c <= '9') || c == '-'; });
}

std::optional<Refusal> judgeTool(const ServerTool &tool, const RequestRules &rules) {
  const std::string place = "tools." + std::to_string(tool.index) + ": ";
  if (rules.serverTools) {
    if (rules.serverTools->allows(tool.type)) return std::nullopt;
    return invalid(place + "the server tool `" + tool.type + "` is not allowed here");
  }
  if (!rules.worstCase || tool.isBounded()) return std::nullopt;
  if (tool.isSearch()) return invalid(place + "the server tool `" + tool.type + "` is allowed with `max_uses` alone");
  if (tool.isFetch())
    return invalid(place + "the server tool `" + tool.type +
                   "` is allowed with `max_uses` and `max_content_tokens` alone");
  return invalid(place + "the server tool `" + tool.type + "` is not allowed here, since nothing limits what it costs");
}

/// What a member asks for that only a beta offers, and that has no bound.
std::optional<Refusal> judgeFeature(std::string_view member, std::string_view beta, std::string_view betas,
                                    const RequestRules &rules) {
  bool listed = false;
  http::forEachListItem(betas, [&](std::string_view name) { listed = listed || name.starts_with(beta); });
  if (!rules.worstCase || (rules.betas && listed)) return std::nullopt;
  return invalid(std::string(member) + ": `" + std::string(beta) +
                 "` is not allowed here, since nothing limits what it costs");
}

std::optional<Refusal> judge(MessageRequest &request, const RequestDocument &document, std::string_view betas,
                             const RequestRules &rules) {
  std::optional<Refusal> refusal;
  http::forEachListItem(betas, [&](std::string_view name) {
    if (!refusal && rules.betas && !rules.betas->allows(name))
      refusal = invalid("anthropic-beta: `" + std::string(name) + "` is not allowed here");
  });
  for (const ServerTool &tool : request.serverTools) {
    if (!refusal) refusal = judgeTool(tool, rules);
    request.unbounded = request.unbounded || !tool.isBounded();
  }
  if (!refusal && document.compacts()) refusal = judgeFeature("context_management", "compact", betas, rules);
  if (!refusal && document.fallsBack()) refusal = judgeFeature("fallbacks", "server-side-fallback", betas, rules);
  request.unbounded = request.unbounded || document.compacts() || document.fallsBack();
  return refusal;
}

} // namespace

bool AllowList::allows(std::string_view name) const noexcept {
  return std::any_of(names_.begin(), names_.end(), [name](const std::string &allowed) {
    return allowed == "*" ||
           (name.starts_with(allowed) && (name.size() == allowed.size() || isDate(name.substr(allowed.size()))));
  });
}

std::variant<MessageRequest, Refusal> MessageRequest::parse(std::string_view body, std::string_view betas,
                                                            const RequestRules &rules) {
  MessageRequest request;
  RequestDocument document(request);
  JsonScanner scanner(RequestDocument::names(), document);
  if (!isUtf8(body)) return invalid("The request body is not valid UTF-8");
  if (!scanner.feed(body) || !scanner.done()) return invalid("The request body is not valid JSON");
  if (const std::string &fault = document.fault(); !fault.empty()) return invalid(fault);
  request.promptTokens = document.promptTokens(body.size());
  if (auto refusal = judge(request, document, betas, rules)) return *std::move(refusal);
  return request;
}

} // namespace matrixos::gateway
