//! What the tool says of itself. The options are described in this project's words; the names are Ceph's.

pub(super) const USAGE: &str = " usage: [--print] <mapfilename>
   --createsimple <count> [--clobber] [--pg-bits <bits>] [--pgp-bits <bits>]
                           make a map with this many devices on one host
   --with-default-pool     with a pool `rbd` in it, of <count> shifted left by <bits> placement groups
   --clobber               overwrite a map that is there
   --export-crush <file>   write the placement hierarchy, in Ceph's binary form
   --import-crush <file>   replace the placement hierarchy
   --test-map-pgs [--pool <poolid>] [--pg_num <pg_num>]
                           how all placement groups spread over OSDs
   --test-map-pgs-dump [--pool <poolid>]
                           the same, and the acting set of each
   --test-map-pgs-dump-all [--pool <poolid>]
                           the same, and the raw, up and acting sets of each
   --test-random           with the three above: chance places instead of the hierarchy
   --test-crush            place every placement group a hundred times, and look whether it moves
   --range-first <epoch> --range-last <epoch>
                           read the maps of these names in the folder <mapfilename>
   --test-map-pg <pgid>    where a placement group lives
   --test-map-object <name> [--pool <poolid>]
                           where an object lives
   --mark-up-in            take all devices for up and in
   --mark-out <osdid>      take an OSD for up and out
   --mark-up <osdid>       take an OSD for up
   --mark-in <osdid>       take an OSD for in
   --adjust-crush-weight <osdid:weight>[,<osdid:weight>,...]
                           take devices for this heavy
   --clear-temp            take all temporary sets away
   --clean-temps           take stale temporary sets away
   --upmap-cleanup <file>  print commands that take stale exceptions away; - is standard output
   --upmap <file>          print commands that spread placement groups more evenly
   --upmap-max <count>     at most so many [default: 10]
   --upmap-deviation <n>   until no OSD is further than this from its share [default: 5]
   --upmap-pool <name>     in this pool; may be given more than once
   --upmap-active          plan so until there is nothing left to do
   --health                show what is wrong with the map, as far as it alone tells
   --save                  keep what --upmap and --adjust-crush-weight changed
   --print                 show the map
   --dump <format>         show the map as plain, json or json-pretty
   --tree[=<format>]       show the placement hierarchy as plain, json or json-pretty
";
