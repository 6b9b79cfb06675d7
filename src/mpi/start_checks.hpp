// What must be the same for all ranks before anything is written.
#pragma once

#include <ferry/mpi.hpp>

#include "mpi/messages.hpp"

#include <span>
#include <string>
#include <vector>

namespace ferry::mpi {

// What is wrong with the rank `number`, held against rank 0; empty: nothing.
[[nodiscard]] std::string difference(const RankFacts& first, const RankFacts& other, int number);

// What the operands are, as this rank sees them.
[[nodiscard]] std::vector<OperandView> look_at(std::span<const TreeOperand> operands);

// Whether this rank sees what rank 0 saw. Device numbers are compared under one kernel only.
[[nodiscard]] std::string difference(const std::vector<OperandView>& first, const std::vector<OperandView>& own,
                                     bool same_machine);

// A file in the destination (of the first operand), for ranks on other machines to find. Its path; empty: none could be
// made, and the copy will say why.
[[nodiscard]] std::string make_probe(const TreeOperand& operand);
void remove_probe(const std::string& path);
// Looks for it, for some seconds: network file systems may remember that a name was not there.
[[nodiscard]] bool finds_probe(const std::string& path);

}  // namespace ferry::mpi
