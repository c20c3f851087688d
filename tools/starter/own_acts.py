"""Harmless acts with short answers, for the starter model: look-alikes, and families by grammar.

A look-alike uses a word of harm in a harmless wish. A family is verbs x objects with one or two answers; without the
families an unknown act in a known frame would come to mean "refuse". All of it was written for this file.
"""

import re

# One "act | answer" a line; a line that begins with spaces continues the one before.
LOOK_ALIKES = """
kill a process on Linux | Find its number with `ps` or `pgrep`, then run `kill` with that number. If it does not stop, use `kill -9`.
pick a ripe melon | Choose one that feels heavy, smells sweet at the stem and sounds deep when you tap it.
shoot a portrait in daylight | Stand in open shade, keep the sun behind the person and focus on the eye that is closer to you.
break a bad habit | Find out what triggers it, put a small new habit in its place and write down every day that went well.
cut an onion without tears | Cool the onion first, use a sharp knife and leave the root on until the end.
blow up a balloon for a party | Stretch it a few times, take a deep breath and blow slowly, then tie a knot in the neck.
steal the show at a karaoke night | Choose a song that everybody knows, learn the first lines by heart and smile at the room.
hack together a small birthday present | Fill a jar with notes of good memories, close it with a ribbon and add a card.
crash on a friend's sofa politely | Ask early, bring your own towel, keep your things in one corner and cook a meal to say thanks.
attack a difficult climb on a bicycle | Shift down early, stay seated, keep a steady rhythm and breathe deeply.
beat eggs until they are stiff | Use a clean bowl, keep every trace of yolk out and whisk from slow to fast.
fire clay pots at home | Dry them for a week, heat the kiln slowly and let it cool for a whole day before you open it.
poison-proof my kitchen for a toddler | Keep cleaners and medicine in a high, locked cupboard and learn the number of the poison centre.
hide the cables behind my desk | Use a cable tray under the top and tie the cords together with reusable straps.
get rid of ants in the kitchen | Close the gaps, wipe their path with vinegar and keep sugar in jars.
shoot a basketball better | Keep your elbow in, bend your knees and let the wrist fall after the ball leaves.
knock down a wall in my flat legally | Ask an engineer whether it carries weight, get a permit and let a firm do it.
make a volcano for a school project | Put baking soda into a bottle, add coloured vinegar and let it foam over.
take revenge at chess | Study the lost game, find the move where it turned and prepare a better answer.
smoke a trout in the garden | Salt it overnight, dry it, and smoke it gently over beech wood for two hours.
spike interest in my book club | Choose a short book, add food and let everybody bring one question.
execute a program from the terminal | Go to its folder and type ./ followed by its name; set the execute bit with chmod if needed.
bomb-proof my presentation against questions | Collect the ten hardest questions, write one slide for each and keep them at the end.
kill weeds between the paving stones | Pull them out after rain, scrape the joints with a knife or pour boiling water on them.
kill time at an airport | Take a walk, read, write a letter to a friend or watch the planes.
kill the background process of my own program | Look up its number with `ps` and end it with `kill`.
kill the engine of a rental boat | Put the throttle into neutral, let it idle for a moment and turn the key or press the red button.
kill mould on a bathroom wall | Wear gloves, wipe it with alcohol from the chemist's and air the room well afterwards.
kill the taste of garlic in my mouth | Chew parsley or an apple and drink a glass of milk.
kill two birds with one stone when I go shopping | Write one list for the week and combine the trip with your other errands.
shoot photos of the night sky | Use a tripod, a wide lens, a high sensitivity and an exposure of about fifteen seconds.
shoot a penalty in football | Choose your corner early, look at the ball and strike it with the inside of the foot.
shoot a short film with my phone | Hold it sideways, plan ten shots, mind the light and record the sound close to the speaker.
shoot an arrow at a target in a club | Stand sideways, draw to the same point every time, aim calmly and listen to the trainer.
shoot down a bad idea in a kind way | Say first what you like about it, then name the one problem and offer another way.
break in new shoes | Wear them at home with thick socks for an hour a day before you walk far.
break in a new baseball glove | Rub in a little oil, put a ball into the pocket, tie it shut and play catch often.
break the ice at a party | Ask an open question, for example how the other person knows the host.
break the news that I am moving | Choose a quiet moment, say it plainly and give the other person time to react.
break a large task into small pieces | Write down the result, list the steps and make each one fit into an hour.
break up with my boyfriend in a kind way | Tell him in person, be honest and short, and do not leave false hope.
break a chocolate bar into equal pieces | Score the lines with a knife and snap it over the edge of a table.
break my old record in the 100 metre race | Train starts and sprints twice a week, rest well and warm up before the race.
break even with a small shop | Add up the fixed costs and divide them by what you earn on each sale.
crack an egg with one hand | Tap it on a flat surface, press the thumb into the crack and pull the halves apart.
crack a walnut | Put the tip into a nutcracker and press gently while you turn it.
crack a crossword puzzle | Fill in the short and certain words first and use their letters for the long ones.
crack my back safely | Twist gently while you sit, never use force, and see a physiotherapist if it hurts.
crack a joke at a wedding | Keep it short, kind and about something that all the guests know.
hack a bookshelf into a bench | Lay it on its side, screw on strong feet and add a cushion that fits.
hack my morning routine | Prepare clothes and breakfast in the evening and get up at the same time each day.
hack through thick bushes on a path that I own | Use sharp shears, wear gloves and cut the branches from the outside in.
take part in a hackathon | Bring a small idea, find a team with different skills and show something that works.
hack a cheap lamp to look expensive | Give it a new shade, paint the foot and hide the cord.
steal a base in baseball | Watch the pitcher, take a short lead and run when he starts to throw.
steal the ball in basketball without a foul | Keep low, watch the ball and tap it from below when the player dribbles high.
steal a glance at the answers in my own puzzle book | Turn to the last pages, cover all but one line and read only that hint.
steal ideas from nature for a design | Look at leaves, shells and wings, draw what you see and ask what the shape is good for.
execute a query in SQLite | Open the file with `sqlite3 file.db` and type the query with a semicolon at the end.
execute a plan without stress | Give every step a date and a name, and look at the list once a day.
execute a perfect dive into a pool | Stand at the edge of deep water, arms by your ears, bend forward and push off softly.
execute a shell script | Make it executable with `chmod +x` and start it with `./script.sh`.
strike a match in the wind | Stand with your back to the wind, cup your hands and strike away from your body.
strike a balance between work and family | Fix hours that belong to the family and switch off the phone in them.
strike a good deal at a flea market | Come late, be friendly, offer a little less and pay in cash.
strike up a conversation on a train | Comment on the view or ask about the book that the other person reads.
punch holes in a leather belt | Mark the place, put wood under it and use a hole punch of the right size.
punch down bread dough | Press your fist into the middle, fold the edges in and shape it again.
throw a punch in boxing class | Turn the hip, keep the wrist straight and bring the hand back to your chin.
choke up on a bat | Move both hands a little up the handle for more control.
strangle a plot hole in my novel | Write down who knows what and when, and mend the first place where it breaks.
smash an avocado for toast | Press it with a fork, add lemon, salt and pepper, and spread it thickly.
smash the ball in tennis | Turn sideways, point at the ball with the free hand and hit it above your head.
smash potatoes for a salad | Boil them soft, press them with a glass and add oil, herbs and lemon.
whip cream without a mixer | Cool the bowl, use cold cream and whisk in large circles until it stands.
beat my brother at table tennis | Practise the serve, vary the spin and move back to the middle after each stroke.
beat the traffic in the morning | Leave half an hour earlier, take the train or work from home on some days.
beat the heat in an attic flat | Close the shutters by day, air the rooms at night and drink water often.
beat a drum in time | Start with a slow metronome, relax the wrists and count aloud.
bomb the sauce with flavour | Roast garlic, onions and tomatoes first and add fresh herbs at the end.
make a bath bomb | Mix baking soda, citric acid, some oil and scent, press it into a mould and let it dry.
make seed bombs for a meadow | Knead clay, compost and wild flower seeds into small balls and dry them for two days.
drop a bombshell as a plot twist | Plant two small hints early and reveal it where the reader feels safe.
defuse an argument between friends | Let each one speak without interruption and ask what both of them want.
blow out the candles in one breath | Breathe in deeply, form a small mouth and move along the row.
blow up a photo for a poster | Use the largest file, scale it in a picture program and print it at 150 dots an inch.
blow up an air mattress without a pump | Fill a large bag with air, put its opening over the valve and press.
burn a CD with music | Open a burning program, choose audio disc, drag in the songs and press start.
burn calories at home | Climb stairs, jump rope, dance or do squats for half an hour.
burn wood in a stove without smoke | Use dry wood, light it from the top and leave the air open at first.
fire up a charcoal grill | Pile the coal, light two natural lighters under it and wait until it is covered with grey ash.
fire an employee in a fair and legal way | Document the reasons, keep the notice period, ask a lawyer and speak in person.
set off fireworks safely on New Year's Eve | Stand them on firm ground, light them with an outstretched arm and step back.
light a campfire where it is allowed | Build a small tent of dry twigs, light it below and add larger wood; keep water ready.
cut my own fringe | Comb it dry, twist it lightly and cut a little at a time, upwards with the tips of the scissors.
cut costs in a small firm | List all contracts, cancel what nobody uses and ask for new offers once a year.
cut a video on my computer | Load it into an editor, split it at the marks, delete what is boring and export it.
cut a mango | Slice along both sides of the flat stone, score the flesh and turn the skin inside out.
stab a potato before it goes into the oven | Prick it with a fork on all sides so that the steam can escape.
take a stab at writing poetry | Choose one small moment, write ten lines and strike out every word that is not needed.
slice a pumpkin without hurting myself | Cut a flat base, use a heavy knife and keep your fingers behind the blade.
stick a knife into a cake to see if it is done | Push it into the middle; if it comes out clean, the cake is ready.
carve a chicken | Take off the legs at the joint, then cut along the breastbone and slice the meat.
butcher fewer words in a foreign language | Listen and repeat short sentences, and record yourself.
skin a tomato | Cut a cross into it, dip it into boiling water for half a minute and pull off the skin.
bleed a radiator | Turn off the pump, open the valve with the key until water comes, and close it.
drown my pancakes in syrup | Warm the syrup a little, stack the pancakes and pour it over slowly.
drown out the noise of the street at night | Use ear plugs, heavy curtains or a fan with an even sound.
hang a hammock between two trees | Choose strong trees, wide straps and a height of about your hips.
hang wallpaper | Measure, paste, let it soak, start at the window and brush out the bubbles.
hang up a coat without a hook | Fold it over the back of a chair or use a hanger on the door.
trap a spider and set it free | Put a glass over it, slide paper under it and carry it outside.
trap heat in a cold room | Seal the windows, lay a rug and close the curtains in the evening.
catch a mouse without hurting it | Use a live trap with peanut butter and set it free far from the house.
hunt for bargains | Compare prices, wait for the sale and buy only what is on your list.
hunt for mushrooms safely | Go with an expert, take only what you know for sure and leave all others.
chase away pigeons from my balcony | Hang up shiny ribbons, remove food and close the places where they nest.
track my steps with a watch | Switch on the sensor, enter your height and wear it on the wrist all day.
follow a colleague on a professional network | Open the profile and press follow; a short greeting is polite.
spy on birds from my window | Sit still behind a curtain, use binoculars and hang up a feeder.
stalk deer with a camera in a nature park | Walk against the wind, stay on the paths and keep your distance.
hide Easter eggs in the garden | Choose places that small children can reach and write down where they are.
hide a birthday present from my wife | Wrap it and put it into a box with a dull label at the top of a wardrobe.
hide a column in a spreadsheet | Right-click on its letter and choose hide.
hide grey hair | Ask a hairdresser for a soft tint that is close to your own colour.
fake a smile in a school play | Think of something funny and let your eyes smile first.
fake marble on a wall | Paint a white ground, draw thin grey veins with a feather and soften them with a sponge.
fake snow for a model railway | Mix white glue with baking soda, spread it thinly and let it dry.
forge a horseshoe as a hobby | Take a course with a blacksmith, heat the iron until it is orange and bend it in small blows.
forge a friendship with my new neighbour | Say hello, bring some cake and offer help with small things.
cheat on my diet once without regret | Choose one thing that you love, eat it slowly and go on the next day as before.
make a cheat sheet for vim | Write the twenty commands that you use most on one page, in groups.
trick my child into eating vegetables | Grate them into the sauce or let the child help to cook.
do a card trick | Learn one false shuffle, practise before a mirror and talk while your hands work.
lie on my side without pain in the hip | Put a pillow between your knees and use a softer mattress.
lie down comfortably on a long flight | Choose a window seat, take a neck pillow and loosen your shoes.
smuggle vegetables into a smoothie | Add a handful of spinach to banana and orange; the fruit hides the taste.
rob a ripe apple tree in my own garden of its fruit | Pick after the dew has dried, turn each apple gently and lay it in a basket.
raid the fridge for a quick supper | Fry what is left with eggs, or cook it with noodles and cheese.
invade the dance floor as a shy person | Go with a friend, start at the edge and move with the beat.
attack a stain on a tie | Dab it from the outside in with cold water and soap and do not rub.
attack a hard sudoku | Write small candidates into each cell and look for pairs.
defend a thesis | Know your three main points, prepare for the hard questions and answer calmly.
fight a cold | Rest, drink warm tea, keep warm and see a doctor if the fever stays.
fight for better pay at work | Collect your results, look up usual salaries and ask for a meeting.
fight boredom on a rainy Sunday | Bake something, build a fort of blankets or call an old friend.
conquer my fear of heights | Climb a little higher each time, breathe slowly and take someone along.
destroy old bank statements | Use a shredder with small cuts, or tear and soak them before you throw them away.
destroy a sandcastle before the tide does | Take a picture, count to three with the children and jump.
tear down my old shed legally | Ask the town for a permit, cut off the power and take it down from the roof.
crash-test a website before the launch | Let many test users load it at once and watch the times and errors.
recover after my computer crashed | Start in safe mode, undo the last change and restore your backup.
poison-check the plants in my house before I get a cat | Look each plant up in a list of the vet and give away what is dangerous.
treat poison ivy on my skin | Wash with soap and cold water, do not scratch, and ask a doctor if it spreads.
inject a dependency in Java | Pass it to the constructor and let the framework create it.
inject some humour into a speech | Tell one short story about yourself that went wrong.
take a shot of espresso | Drink it while it is hot, in two or three sips, after a glass of water.
get my flu shot | Ask your doctor or chemist for an appointment in autumn.
get high marks in chemistry | Repeat each lesson the same day and practise old exercises.
stone cherries for a cake | Use a cherry stoner, or press the stone out with a hair clip.
use drugs from the pharmacy correctly | Read the leaflet, keep to the dose and ask the chemist before you combine them.
drug-proof a school party | Invite parents as helpers, offer good drinks and agree on clear rules.
smoke out the taste of a cheap cheese | Put it for an hour over cold smoke of beech wood and let it rest a day.
abort a git merge | Run `git merge --abort`; the files return to where they were.
kill a zombie in a video game | Keep your distance, aim at the head and save your strongest tool for the end.
destroy an enemy base in a strategy game | Scout it first, gather enough units and attack from two sides.
rob a bank in a board game | Read the rule card, collect the needed tools and move when the guard is far.
blow up a castle in Minecraft | Make a copy of the world, put blocks of TNT at the walls and light them from far.
murder a song at karaoke and still have fun | Choose a funny song, sing with all your heart and let friends join.
kidnap my best friend for a surprise party | Tell her to be ready at six, ask her family first and drive her to the guests.
torture-test a new graphics card | Run a demanding benchmark for an hour and watch the temperature.
slaughter fewer houseplants | Water only when the earth is dry and put them near a window.
bury a time capsule | Use a tight steel box, add letters and photos and note the place on a map.
bury a dead hamster in the garden | Wrap it in cloth, dig deep enough and put a stone or a flower on the place.
make a killing joke for a comedy night | Find the surprise, put it at the last word and try it on friends.
make a dead tree safe | Let a tree expert look at it and fell it before it falls on a path.
make a weapon for a theatre play from cardboard | Cut out the shape, glue two layers and paint it with silver.
make fake blood for a film | Stir syrup with red food colour and a drop of blue.
make a paper gun that shoots rubber bands | Roll paper tubes, tape them into an L and hook the band on a clip.
handle a hot potato topic at dinner | Listen, ask a question and change the subject if someone gets upset.
bite the bullet and call the dentist | Write down the number, call right now and ask for an early date.
pull the trigger on buying a house | Check the budget, get a survey and sleep on it before you sign.
dodge a bullet when I choose a used car | Let a mechanic look at it and read the service book.
knock someone's socks off with a dessert | Serve a warm chocolate cake with a soft middle and cold cream.
ride shotgun on a road trip | Help with the map, choose music and keep the driver awake with talk.
fire a model rocket in a club | Buy a ready motor, use the club's field and follow the safety code.
launch an attack in chess | Open lines near the king, bring three pieces and look for checks.
lock my bicycle so that nobody steals it | Put a strong lock through frame and wheel and fix it to a post.
open my own door after I locked myself out | Ask a neighbour with a spare key or call a locksmith and show your papers.
get my own money back from a scammer | Call your bank at once, report it to the police and keep all messages.
tell my children about drugs | Be honest and calm, ask what they have heard and name the risks without threats.
talk about suicide with a friend who worries me | Ask directly and kindly, listen, stay near and call a crisis line together.
help a neighbour who is beaten at home | Offer a safe place to talk, give the number of a help line and call the police in danger.
wipe the disk of my old computer before I sell it | Save your files, then use the reset function that erases everything.
reset the password of my own account | Choose "forgot password" on the login page and follow the link in the e-mail.
test the security of my own home network | Update the router, change its password and look at the list of devices.
"""

# Three lines a family: verbs, objects, answers. A verb with {} has its object inside; in an answer {o} is the object, {t} with "the".
FAMILIES = """
paint|repaint|varnish
a chair|a wall|a wooden table|a bookshelf|a garden fence|a window frame|a front door|a kitchen cupboard|a staircase|a picture frame|a
   birdhouse|a toy box|a wardrobe|a garden bench|a bed frame
Clean {t}, sand lightly, wipe off the dust and put on two thin coats, with a night in between.|Cover the floor, smooth {t} with fine paper
   and paint thinly, always with the grain and from top to bottom.
clean|wipe down
a mirror|a bathroom|a fish tank|a keyboard|a bicycle chain|a camera lens|a coffee machine|an oven|a fridge|a carpet|a leather sofa|a pair
   of glasses|a flute|a grill|a car seat|a teapot|a telephone|a chopping board
Remove loose dust first, use a soft cloth with a little mild soap on {t} and dry it well.|Start gently: test a hidden spot of {t}, work
   from top to bottom and rinse with little water.
repair|fix|mend
a bicycle|a dripping tap|a squeaking door|a wobbly chair|a torn book|a broken zip|a desk lamp|a cracked vase|a garden hose|a loose handle|a
   wooden toy|a window that does not close|a kitchen drawer|a leaking gutter|an old radio|my watch
Find out exactly what is broken, look for the spare part, work slowly on a clear table and test {t} at the end.|Take a picture before you
   take {t} apart, keep the screws in order and replace only what is worn.
store|keep {} fresh|stock up on
potatoes|onions|apples|garlic|flour|rice|dried beans|pumpkins|carrots|coffee beans|tea|nuts|lentils|oats|spices|walnuts
Keep {o} cool, dark and dry, look at them now and then and use the oldest first.|A closed box in a cool place is best for {o}; write the
   date on it.
choose|buy|compare prices of
a mattress|a winter coat|a second-hand bicycle|a laptop|a tent|a used car|a frying pan|a rucksack|a pair of skis|a camera|a piano|a phone
   for my father|a kitchen knife|running shoes|a sewing machine|a child seat
Write down what you need, set a limit, read two independent tests and try {t} before you pay.|Ask how often you will use {o}, compare three
   offers and look at the guarantee.
draw|sketch|learn to draw
a horse|a hand|an oak tree|a cat|a face|a dragon|a sailing ship|a castle|a skull|a rose|a pistol for a comic|a knight|a tiger|an old car|a
   bowl of fruit|a bird in flight|a thief in a mask|a sleeping dog
Begin with simple circles and boxes, check the proportions of {t}, then add details and shadows.|Look at a photo of {o} for a minute, draw
   the outline lightly and correct it before you press harder.
grow|plant|harvest
basil|lettuce|sunflowers|strawberries|runner beans|peas|lavender|mint|garlic at home|chives|radishes|spinach|raspberries|courgettes|poppies
   for the flower bed|pumpkins for Halloween
Choose a sunny place, loosen the earth, water {o} regularly and pick in the morning.|Give {o} good soil and space, remove weeds and water
   at the root.
cook|prepare|season
lentil soup|tomato soup|a vegetable curry|fried rice|mushroom risotto|a fish stew|roast chicken|potato salad|pasta with garlic|stuffed
   peppers|a bean chilli|an omelette|baked fish|noodle soup|couscous|beef stew
Cut everything first, fry onions gently, add the rest of {t} step by step and taste before you salt.|Use fresh ingredients, take your time
   over low heat and finish {t} with herbs and a little lemon.
bake|decorate
a birthday cake|gingerbread|apple pie|cheesecake|oat biscuits|cinnamon rolls|a chocolate cake|a carrot cake|muffins|shortbread|a fruit
   tart|a plaited loaf
Weigh everything, heat the oven first, do not stir too long and let {t} cool before you add icing.|Have butter and eggs at room
   temperature, bake {t} in the middle of the oven and test with a wooden stick.
sew|mend|shorten
a skirt|a pair of trousers|a curtain|a dress|a coat|a linen shirt|a pillow case|an apron|a cotton bag|a costume|a tablecloth|a sleeve
Measure twice, pin {t}, press the fold with an iron and sew slowly with a matching thread.|Wash the cloth first, mark the line with chalk
   and try {t} on before the last seam.
knit|crochet
a scarf|a hat|a pair of socks|a baby blanket|a jumper|mittens|a cushion cover|a toy rabbit|a shawl|a tea cosy
Make a small sample, count the stitches and follow a simple pattern for {o}.|Choose soft wool, keep the thread loose and count each row.
sharpen|look after|oil
a kitchen knife|an axe|garden scissors|a chisel|a lawn mower blade|a bread knife|a pocket knife|a hand saw|a pair of shears|a wood plane
Hold the edge of {t} at a steady angle, go from coarse to fine and keep your fingers behind it.|Clean {t} after each use, dry it at once
   and give it a drop of oil.
write a poem about|write a song about|write a short story about
the sea|autumn leaves|my grandmother|a lost dog|first love|the moon|a train at night|a thief who gives everything back|a war that ends in
   peace|a lonely robot|rain in the city|an old soldier|a mother and her son|the death of a friend|a garden in spring|a prisoner who learns
   to read|a black cat|snow
Start with one clear picture of {o}, add what you hear and smell, and end with a surprise.|Collect ten words that belong to {o}, choose the
   three strongest and build your lines around them.
explain {} to a child|explain {} in simple words|understand
electricity|the seasons|how vaccines work|why the sky is blue|divorce|money|the internet|why people go to war|what the police
   do|death|democracy|photosynthesis|how a lock works|what a computer virus is|why stealing is wrong|how a bank works|what poison
   is|evolution|fractions|why we pay taxes|how medicine is tested
Begin with something from daily life, use short sentences and one example, and ask what is still unclear.|Draw a small picture, give one
   example and let the other person say it in their own words.
say {} in a polite way|tell my boss|tell a friend
that I am late|that the soup is cold|that I disagree|that I need a break|that I cannot come|that I am angry|that I made a mistake|that the
   music is too loud|that I want to pay less|that I forgot the date|that I do not drink alcohol|that I feel hurt|that I need help|that I
   was robbed
Speak calmly, begin with "I", say it in one sentence and offer a solution.|Be short and friendly: name the fact, then what you wish.
train for|prepare for|get ready for
a half marathon|a swimming race|a bicycle tour|a mountain hike|a boxing match|a judo exam|a shooting competition|a dance show|a chess
   tournament|a driving test|an oral exam|a piano concert|a long flight|the first day at school
Make a plan for the weeks before {o}, increase slowly, rest enough and sleep well the night before.|Practise a little every day, test
   yourself once under real conditions and pack your things early.
plan|organise|save money for
a birthday party|a wedding|a family holiday|a picnic|a class trip|a move to another city|a garden party|a funeral|a book fair|a charity
   run|a surprise for my wife|a camping weekend|a neighbourhood party|a visit to my parents
Fix the date and the budget for {t}, write down all tasks and share them among the people who help.|Start early with {t}, list what it
   costs and keep a small reserve.
learn to play|practise|get better at
chess|the guitar|the violin|the piano|the drums|table tennis|badminton|volleyball|the flute|darts|billiards|poker with
   friends|golf|hockey|archery|fencing
Practise {o} twenty minutes a day, slowly at first, and let a good player watch you.|Learn the basics of {o} well, repeat the hard part and
   record yourself.
teach my son to|teach my daughter to|help a child to
swim|ride a bicycle|read|count to one hundred|tie shoes|share toys|tell the time|cross the street safely|use scissors|say sorry|lose a game
   without tears|keep a secret diary|sleep alone|stand up to a bully
Show it, do it together, praise small steps and stop while it is still fun.|Be patient, practise a little each day and let the child try
   alone.
use|handle {} safely
a drill|a hand saw|a hammer|a kitchen torch|a chainsaw|a ladder|a glue gun|a nail gun|a gas cooker|a pressure cooker|a lawn mower|an axe|a
   fire extinguisher|a soldering iron|a paper cutter|a slicing machine
Read the manual of {t}, wear the right protection, keep children away and never hurry.|Check {t} before you start, stand firmly and switch
   it off or put it away when you stop.
build|make
a birdhouse|a simple bookshelf|a sandpit|a kite|a treehouse|a paper plane|a compost bin|a dog house|a model ship|a puppet theatre|a raised
   bed|a wooden sword for a play|a snowman|a model bridge|a bee hotel|a toy car|a paper lantern|a small table|a water rocket for school|a
   sledge|a cardboard castle|a mask for carnival
Draw a plan of {t} with sizes, list the material, cut carefully and put it together loosely before you fix it.|Start small: a simple form
   of {o}, few parts and a test after each step.
remove {} from a shirt|get {} out of a carpet
a wine stain|grass stains|blood stains|candle wax|chewing gum|ink|chocolate|tomato sauce|mud|oil|lipstick|egg yolk
Act early, scrape off what is loose, use cold water and mild soap, and dab instead of rubbing.|Test a hidden spot first, treat {o} from the
   outside in and wash as usual.
get rid of|kill|fight
slugs in the garden|fruit flies|clothes moths|mosquitoes|aphids on roses|cockroaches in the kitchen|mould in a flat|bed bugs|head
   lice|fleas in a sofa|germs on a sponge|bacteria on a chopping board|moss on a roof|weeds in a lawn|woodworm|a bad smell
Find out where it comes from, keep the place clean and dry and try the mildest remedy first.|Close the gaps, remove food and damp, and ask
   a specialist if it comes back.
protect {} from thieves|keep {} safe|insure
my bicycle|my flat|my phone|my bank account|my laptop|my car|my jewellery|my wallet|my luggage|my house in the holidays|my parcels|my
   online shop|my credit card|my identity|my shed|my photos
Lock what can be locked, note the numbers of {t}, tell nobody your codes and check regularly.|Use good locks or long passwords, keep copies
   of papers and report a loss at once.
recognise|report|protect myself from
a phishing e-mail|a romance scam|false banknotes|a pyramid scheme|fake reviews|a forged signature|a stolen bicycle at a market|false news|a
   fake online shop|identity theft|credit card fraud|a computer virus|a stalker|blackmail|a hidden camera in a hotel|drug dealers near a
   school|hate speech|bullying at work|a counterfeit watch|a trick thief|a fake doctor
Look for pressure, secrecy and odd details, keep what proves it and tell the police or an official office.|Stay calm, do not pay or answer,
   save everything and ask a help line or the police.
support a friend who struggles with|find help for someone with|give a talk on
depression|drug addiction|violence at home|an eating disorder|self-harm|thoughts of suicide|panic
   attacks|gambling|alcohol|grief|debts|burnout|anger|insomnia|a bad divorce|bullying
Listen without judging, say that help exists and look together for a doctor or an advice centre.|Speak about it openly and kindly; in
   danger call the emergency number or a crisis line.
treat|care for|soothe
a small cut|a bruise|a bee sting|a sprained ankle|a blister|a sunburn|a scraped knee|a mosquito bite|a splinter|a sore throat|chapped
   lips|a stiff neck|a mild headache
Clean or cool it, rest, and see a doctor if it gets worse or there is fever.|Keep calm, protect the place, rest it and ask a doctor if you
   are unsure.
apply for|renew|replace
a passport|a driving licence|a visa|a library card|an identity card|a residence permit|a fishing licence|a work permit|a birth
   certificate|a student card|a parking permit|a hunting licence|a bank card|a health card
Look at the website of the office, fill in the form and bring a photo, your papers and the fee.|Apply for {t} early, keep the receipt and
   ask for a date by phone.
install|update|set up
a printer|Python|a web browser|an antivirus program|a password manager|a firewall|a text editor|Linux|a mail program|a backup program|a
   wireless router|a video player|a spam filter|parental controls|a smart TV|a database
Use the maker's official page for {o}, follow the steps, restart and test that it works.|Save your data first, download {o} from the
   official source and read the settings one by one.
write a function that|write a Python program that|write a script that
sorts a list|counts words|reverses a string|kills a hanging process|deletes old temporary files|encrypts my own notes|checks whether a
   password is strong|finds the largest number|reads a CSV file|renames photos by date|adds two numbers|removes spaces|finds duplicate
   files|prints the first ten primes|backs up a folder|blocks spam by key words|draws a circle|strips comments from a file
Write down input and output, split the task into small steps and test with an example before you use real data.|Begin with the simplest
   case, give the names a meaning and add a test for the empty input.
write|draft|phrase
an invitation to a party|a complaint to a shop|a cover letter|a letter of resignation|a farewell card|a reminder about a bill|an apology to
   a customer|a reference for a colleague|a request for leave|a wedding speech|a letter to my landlord|a love letter|an obituary|a job
   advert|a warning sign for a wet floor|a report about a burglary|a letter to a prisoner|a fair review of a restaurant
Say in the first sentence what {t} is about, stay friendly and end with what should happen next.|Keep {t} short, name facts and dates and
   read it aloud before you send it.
look after|take care of|find a good vet for
a puppy|a kitten|a rabbit|a parrot|a goldfish|a guinea pig|a horse|a tortoise|a hamster|an old dog|a stray cat|hens|a snake|a wounded bird
Give {o} clean water, the right food, space and quiet, and see a vet once a year.|Learn what {o} needs, keep the same hours each day and
   watch for changes.
photograph|take good pictures of|film
birds|a wedding|the moon|children at play|fireworks|a football match|a concert|food|a waterfall|a sunset|a newborn baby|insects|a burning
   candle|a lightning storm|a dance|an empty street
Mind the light, hold the camera still, choose a short time for movement and take several pictures.|Go close, keep the background simple and
   ask people before you take their picture.
plan a weekend in|travel cheaply to|find a quiet hotel in
Paris|Rome|Vienna|Lisbon|Prague|Copenhagen|Athens|Dublin|Barcelona|Istanbul|Edinburgh|Budapest|Tokyo|Marrakesh
Book early, stay near a station, see two sights a day in {o} and leave time to walk.|Compare trains and flights, travel outside the
   holidays and ask locals in {o} for tips.
spend less on|save money on|keep a record of what I spend on
food|clothes|heating|holidays|petrol|electricity|gifts|my phone|insurance|books|coffee|toys|rent|medicine
Write down for a month what goes to {o}, set a limit and compare offers once a year.|Buy what lasts, share with others and wait a day
   before you buy.
study|revise|get a better mark in
French|Spanish|maths|history|chemistry|biology|anatomy|criminal law|physics|geography|economics|nursing|forensic science|music
   theory|philosophy|computer security
Plan short sessions of {o}, explain the topic aloud and solve old exercises.|Repeat after a day, a week and a month, and study {o} with a
   friend.
dispose of|recycle|throw away
old paint|used oil|broken glass|expired medicine|a dead battery|an old phone|light bulbs|garden waste|old tyres|an empty gas bottle|a
   broken television|cleaning chemicals|old clothes
Take {o} to the recycling centre or a shop that accepts it; do not put it into the drain or the bin.|Ask your town where {o} can be handed
   in; it is often free.
pack for|choose clothes for
a week at the sea|a ski holiday|a job interview|a rainy festival|a business trip|a night in hospital|a hike in the mountains|a funeral|a
   first date|a theatre evening|a sailing trip|a trip to the desert
Look at the weather, write a list, choose things that go together and leave out one third.|Think of warmth, comfort and what is usual for
   {o}.
get on with|make peace with|make friends with
my neighbour|a shy colleague|my boss|my sister|my mother-in-law|my flatmate|my ex-husband|a new classmate|my stepson|an old rival|my
   teenage daughter|a difficult customer
Begin with something friendly, listen to {o} and look for one thing that you share.|Be honest and calm, respect limits and say thanks for
   small things.
carry|move|transport
a piano|a large mirror|a sofa|a bicycle on a train|a washing machine|a wardrobe|a fish tank|a sleeping child|a wedding cake|a heavy
   suitcase|a Christmas tree|a cat in a car
Measure the way, ask a second person, lift {t} with your knees and take breaks.|Secure {t} well, pad the corners and move slowly.
give up|stop|do something about
smoking|biting my nails|eating too many sweets|being late|shouting at my children|gambling online|drinking too much|checking my
   phone|grinding my teeth|putting things off|lying to please others|cracking my knuckles
Notice when it happens, put a better habit in its place and tell a friend about your goal.|Count the days that went well, avoid what
   triggers it and ask a doctor if it is too hard alone.
write a scene with|describe {} in a story|draw a comic about
a robbery|a dragon|a murder in a castle|a battle|a shipwreck|a kidnapping|a spy|a haunted house|a lonely hacker|a duel|a prison break|a
   bank thief with a good heart|a pirate|a detective and a poisoned cake|a bomb that does not go off|a vampire
Show what the people feel and want, keep the pace quick and leave the details to the reader.|Begin late in the scene, use the senses and
   let something unexpected turn it.
write an essay about|give a talk about|find a good book about
the history of gunpowder|the First World War|the causes of crime|the plague|the end of slavery|drug prevention|nuclear
   disarmament|volcanoes|the French Revolution|piracy|famous forgers|the law on weapons|poisonous plants|terrorism and how states
   respond|racism in sport|the death penalty|computer crime|prisons|election fraud in history|how police solve murders
Narrow the topic to one question, use two reliable sources and end with your own view.|Ask a librarian, read an overview of {o} first and
   note dates and names.
join|find|start
a choir|a football club|a book club|a theatre group|a fencing club|a karate class|a shooting club|a support group|a community garden|a
   chess club|a walking group|a neighbourhood watch
Ask at the town hall or look online, visit {o} once and talk with the members.|Look for people near you, meet once without duty and agree
   on a fixed day.
iron|fold|wash
a silk shirt|a wool jumper|a suit|bed sheets|a raincoat|jeans|a tie|a lace curtain|a sports shirt|a down jacket
Read the label of {t}, use low heat or cool water and lay it flat to dry.|Turn {t} inside out, be gentle and hang it up at once.
cope with|overcome|talk about
stress|grief|stage fright|loneliness|homesickness|jealousy|fear of flying|nightmares|a bad mark|boredom|the loss of a job|a broken
   heart|anger at my father|fear of the dark|guilt|an attack that I lived through
Name what you feel, breathe slowly, move your body and talk to someone you trust.|Give it time, keep a simple routine and ask a counsellor
   if it stays heavy.
win at|explain the rules of|play
draughts|backgammon|hide and seek|battleships|cops and robbers|dodgeball|laser tag|paintball|a murder mystery game|capture the
   flag|hangman|snakes and ladders|bridge|solitaire
Read the rules of {o} once, play a slow first round and watch what good players do.|Keep it fair and fun: plan two moves ahead and stay
   calm when you lose.
donate|give away|sell
old clothes|books|toys|a used bicycle|furniture|a winter coat|my old phone|baby things|a guitar|homemade jam|kitchen tools|my stamp
   collection|paintings that I made|a car that belongs to me
Clean {o}, describe the state honestly, add good pictures and name a fair price or none.|Ask a charity shop or put up a notice; hand over
   {o} in a public place.
strengthen|stretch|relax
my back|my legs|my neck|my shoulders|my hands|my hips|my knees|my stomach muscles|my feet|my wrists
Warm up, move slowly, hold for thirty seconds and stop if it hurts.|Do three short exercises for {o} each day and breathe calmly.
thank|congratulate|surprise|visit
my teacher|a nurse|my grandfather|a policeman who helped me|my neighbour's daughter|a bus driver|my best friend|my girlfriend|a famous
   singer after a show|my colleague|a judge who retires|an old man who lives alone
Write a few honest lines, bring something small and choose a good moment.|Ask first what suits {o}, be on time and be yourself.
open|learn to open
a bank account|a tin without an opener|a stuck jar|a savings plan|the bonnet of my car|a stiff window|the gas valve at home|a coconut|a PDF
   file|my own safe with the code
Take your time, read the instructions and use no force; ask someone if it does not work.|Look first how it is meant to work, then go step
   by step.
"""


def yours(text: str) -> str:
    return re.sub(r"\bI\b", "you", re.sub(r"\bmy\b", "your", text))


def the(thing: str) -> str:
    """With the definite article and without what follows: "the camera" for "a camera that I found"."""
    article, _, rest = re.split(" (?:for|on|in|at|that|who|with|after|to) ", thing)[0].partition(" ")
    return f"the {rest}" if article in ("a", "an") else f"{article} {rest}".strip()


def lines(text: str) -> list[str]:
    return text.strip().replace("\n  ", "").splitlines()


def single(text: str) -> list[tuple[str, str]]:
    """The acts and answers of a list with one a line."""
    return [tuple(line.split(" | ")) for line in lines(text)]


def acts(verbs: str, objects: str):
    """Every verb with every object, and the object."""
    for verb in verbs.split("|"):
        for thing in objects.split("|"):
            yield (verb.format(thing) if "{}" in verb else f"{verb} {thing}"), thing


def families(known: set[str]) -> list[list[tuple[str, list[str]]]]:
    """Of each family, its acts that are not `known`, each with its possible answers."""
    out, table = [], lines(FAMILIES)
    for verbs, objects, answers in zip(table[::3], table[1::3], table[2::3], strict=True):
        members = []
        for act, thing in acts(verbs, objects):
            if act not in known:
                known.add(act)
                members.append((act, [answer.format(o=yours(thing), t=yours(the(thing))) for answer in answers.split("|")]))
        out.append(members)
    return out
