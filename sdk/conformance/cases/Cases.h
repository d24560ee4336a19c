#pragma once

#include "../CaseSession.h"

#include <vector>

namespace matrixos::conformance {

using CaseList = std::vector<Case>;

// One function per file of this folder; each appends the cases of its groups.
void addLifecycle(CaseList &list);
void addIdempotency(CaseList &list);
void addConcurrency(CaseList &list);
void addList(CaseList &list);
void addLabels(CaseList &list);
void addCancellation(CaseList &list);
void addEvents(CaseList &list);
void addPull(CaseList &list);
void addLimits(CaseList &list);
void addEndpoints(CaseList &list);
void addVolumes(CaseList &list);
void addExtras(CaseList &list);
void addHostileInput(CaseList &list);
/// Last: it also judges how every call before has failed.
void addErrors(CaseList &list);

constexpr bool kCore = true;
constexpr bool kOptional = false;

} // namespace matrixos::conformance
