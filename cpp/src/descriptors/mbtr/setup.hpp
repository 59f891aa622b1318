/// What both descriptors check and prepare.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mercer/descriptors/mbtr.hpp"

namespace mercer::mbtr {

/// Index in `species` of every atomic number, -1 for others.
std::vector<int> element_table(const std::vector<std::int32_t>& species);

/// Index of the element of every atom; -1 for those to be left out.
std::vector<std::int32_t> elements_of_atoms(const StructureBatch& structures, const std::vector<int>& table);

/// Parameters that concern all parts. @throws std::invalid_argument
void check(const MbtrParameters& parameters);

/// The cutoff of a pair list for this reach: a little more, so that distances at the reach itself are in it.
double list_cutoff(double reach);

/// @throws std::invalid_argument for a pair list that is too short, and for elements that are not known.
void check_input(const char* who, const StructureBatch& structures, const PairList& pairs, double cutoff,
                 const std::vector<int>& table, bool ignore_unknown);

/// @throws std::invalid_argument where there are more tuples than the limit.
void require_tuples(index_t frame, int order, double n, double limit);

std::string why_it_jumps(const MbtrPart& part);

double volume(const Mat3& cell);

}  // namespace mercer::mbtr
