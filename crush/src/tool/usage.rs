//! What `crushtool -h` and `--help-output` say. The options are described in this project's words; the names are Ceph's.

pub(super) const USAGE: &str = "usage: crushtool [option...]

Shows, changes and tries placement maps. Whatever is asked for is done in this order: read or build a map,
set tunables, change it, show and try it, write it.

Read or build
   -i, --infn FILE                 read a binary map (- is standard input)
   -d, --decompile FILE            read a binary map and print it as text (to the file of -o, if given)
   -c, --compile FILE              make a map of a text
   --build --num_osds N LAYER...   make a map of N devices; a layer is NAME (uniform|list|tree|straw|straw2) SIZE
   --enable-unsafe-tunables        allow all tunables (they are allowed anyway)

Set tunables
   --set-choose-local-tries N
   --set-choose-local-fallback-tries N
   --set-choose-total-tries N
   --set-chooseleaf-descend-once 0|1
   --set-chooseleaf-vary-r N
   --set-chooseleaf-stable 0|1
   --set-straw-calc-version 0|1
   --set-allowed-bucket-algs MASK

Change
   --add-item ID WEIGHT NAME [--loc TYPE NAME]...
   --update-item ID WEIGHT NAME [--loc TYPE NAME]...
   --remove-item NAME
   --reweight-item NAME WEIGHT
   --add-bucket NAME TYPE [--loc TYPE NAME]...
   --move NAME --loc TYPE NAME [--loc TYPE NAME]...
   --reweight                      compute all weights of buckets anew
   --rebuild-class-roots           make the shadow trees of device classes anew
   --create-simple-rule NAME ROOT TYPE firstn|indep [--device-class CLASS]
   --create-replicated-rule NAME ROOT TYPE [--device-class CLASS]
   --remove-rule NAME
   --set-subtree-class BUCKET CLASS
   --reclassify [--reclassify-bucket MATCH CLASS PARENT]... [--reclassify-root BUCKET CLASS]...

Show and try
   --tree                          the whole tree
   --bucket-tree --bucket-name B   the devices below a bucket
   --dump [-f|--format FORMAT]     everything; json, json-pretty, xml, xml-pretty, html, html-pretty, table or table-kv
   --show-location ID              the buckets above a device
   --check [MAX_ID]                whether names, types and device ids are in order
   --test                          run rules over a range of inputs
      [--min-x X] [--max-x X] [--x X] [--min-rule R] [--max-rule R] [--rule R] [--ruleset R]
      [--num-rep N] [--pool-id P] [--batches B] [-w|--weight ID WEIGHT]... [--simulate]
      [--show-utilization] [--show-utilization-all] [--show-statistics] [--show-mappings]
      [--show-bad-mappings] [--show-choose-tries] [--output-csv] [--output-name PREFIX]
   --compare FILE                  how many of these mappings another map makes differently

Write
   -o, --outfn FILE                where the changed map goes
";

pub(super) const CSV_FILES: &str = "data output from testing routine ...
   absolute_weights                the weight of each device
   device_utilization_all          how often each device was chosen, and was expected to be
   device_utilization              the same for devices that are in
   placement_information           the devices of each input
   proportional_weights_all        the share of each device in the sum of the weights
   proportional_weights            the same for devices that are in
";
