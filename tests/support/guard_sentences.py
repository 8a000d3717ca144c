"""Draft sentences as a small model says them on the phone, and what each commits to (`-`: to nothing).

Written before the guard's rules. The first rules, not yet tuned on HELD_OUT, let none of its 93 that commit
pass and held 5 of the other 87; since then they are tuned on both. `mixed` has two languages in a sentence.
"""

_DEV = """
[en]
amount: It costs nineteen dollars.
amount: The fee is about 15 percent of the balance.
amount: Delivery is free of charge.
amount: There are only two rooms left.
amount: That'd be a couple hundred euros, roughly.
amount: You have half a gigabyte of data remaining.
date: We open at five.
date: It should arrive on Tuesday.
date: The return window closes tomorrow.
date: Your appointment is on the third of May.
date: It usually takes a few business days.
date: The technician is coming next week.
promise: I will refund the full amount.
promise: We'll send you a new card.
promise: Our driver will call you when he is outside.
promise: Your satisfaction is guaranteed.
promise: You'll get the discount automatically.
promise: Let me go ahead and cancel that for you.
answer: Yes, that is included.
answer: No, we don't ship there.
answer: Certainly you can bring your dog.
answer: Unfortunately we can't change the name on a ticket.
answer: Sure, you can return it at any store.
answer: I'm afraid that's not possible.
done: I've cancelled it.
done: Your booking has been confirmed.
done: All done, the address is updated.
done: We have already sent you the link.
done: You're all set.
-: Good question, let me look into that.
-: I understand, one moment please.
-: I'll check that for you.
-: Let me see what I can find.
-: Just a second, I'm pulling up your account.
-: Thanks for your patience.
-: Sure, let me check.
-: Of course, one moment while I look at your order.
-: I'm sorry to hear that.
-: Let me double-check whether that is covered.
-: No problem, give me just a minute.
-: Okay, so you'd like to know about the return policy.
-: There are a couple of things to consider here.
-: Could you tell me your order number, please?
-: How can I help you today?
-: I'd be happy to help you with that.
-: Bear with me for a moment.
-: That's a great question about our plans.
-: I'm looking at the details right now.
-: Let me find out if we can do that.
-: Hmm, let me think about the best way to explain this.
-: Right, let me take a look.
-: I see, that must be frustrating.
-: Got it, I'm checking when it will be delivered.
-: This will only take a moment.
-: I want to make sure I get this right for you.
-: First, may I have your name?
-: Thank you for holding, I appreciate it.
-: Let me ask you one thing before I look it up.
[zh]
amount: 这个套餐每月九十九元。
amount: 手续费是百分之三。
amount: 运费全免，不用您出钱。
amount: 还剩两间房。
amount: 大概要几百块钱吧。
amount: 您还有一半的流量没用。
date: 我们明天就发货。
date: 周三可以送到。
date: 下午五点开始营业。
date: 一般需要几个工作日。
date: 活动到月底结束。
date: 预计下周到货。
promise: 我们会给您退款。
promise: 我马上帮您取消订单。
promise: 您放心，一定给您解决。
promise: 我保证不再发生这种情况。
promise: 稍后会有专人联系您。
promise: 您将收到一条短信。
answer: 对，是这样的。
answer: 是的，您说得没错。
answer: 可以的，直接来门店就行。
answer: 不行，这个不能退。
answer: 当然可以。
answer: 抱歉，我们不支持上门安装。
answer: 没问题，您可以随时更换。
done: 已经办好了。
done: 您的订单已取消。
done: 我帮您改好地址了。
done: 退款成功了。
-: 让我看一下。
-: 好的，请稍等。
-: 这个问题问得很好，我帮您查一下。
-: 您稍等一会儿，我看看系统。
-: 我理解您的心情。
-: 非常抱歉给您带来不便。
-: 请问您的订单号是多少？
-: 我马上为您查询。
-: 我先确认一下是否可以退款。
-: 嗯，我想想怎么跟您解释。
-: 您是想了解会员权益，对吗？
-: 明白了，我来核实一下情况。
-: 没问题，我这就去看看。
-: 请问有什么可以帮您？
-: 您能告诉我具体的型号吗？
-: 这里有一些情况需要说明。
-: 感谢您的耐心等待。
-: 十分感谢您的来电。
-: 我正在查找相关的信息。
-: 别着急，我们一起来看看。
-: 稍等一下，马上就好。
-: 我帮您看看什么时候能到。
-: 您的问题我听明白了。
-: 让我再仔细核对一下。
-: 这个要看具体的情况。
-: 当然，我先了解一下。
-: 我需要先查一下相关规定。
-: 好问题。
[ru]
amount: Это стоит двадцать рублей.
amount: Комиссия составляет около 3 процентов.
amount: Доставка у нас бесплатная.
amount: Осталось всего два номера.
amount: Примерно пара тысяч.
amount: У вас осталась половина пакета.
date: Мы открываемся в девять утра.
date: Курьер приедет завтра.
date: Ближайшая запись есть на среду.
date: Обычно это занимает несколько дней.
date: Акция действует до конца месяца.
date: Посылка придёт пятого мая.
promise: Мы вернём вам деньги.
promise: Сейчас отменю ваш заказ.
promise: С вами свяжется наш специалист.
promise: Я обещаю, что такого больше не повторится.
promise: Вы получите смс с подтверждением.
promise: Гарантирую, всё заработает.
answer: Да, это входит в тариф.
answer: Нет, мы туда не доставляем.
answer: Конечно можно.
answer: К сожалению, вернуть билет нельзя.
answer: Вы можете поменять его в любом магазине.
answer: Разумеется, приходите с собакой.
done: Готово, адрес изменён.
done: Заявка оформлена.
done: Я уже отправила вам ссылку.
done: Ваша бронь подтверждена.
done: Всё сделано.
-: Сейчас посмотрю.
-: Одну минуту, пожалуйста.
-: Хороший вопрос, давайте разберёмся.
-: Понимаю вас, это неприятно.
-: Сейчас проверю эту информацию.
-: Секундочку, открываю вашу карточку.
-: Конечно, сейчас уточню.
-: Подскажите, пожалуйста, номер заказа.
-: Чем могу помочь?
-: Можно узнать ваше имя?
-: Добрый день, слушаю вас.
-: Давайте посмотрим, можно ли это вернуть.
-: Мне нужно немного времени, чтобы найти ответ.
-: Спасибо за ожидание.
-: Хорошо, я вас поняла.
-: Один момент, ищу ваш заказ.
-: Дайте мне пару секунд.
-: Здесь есть несколько нюансов.
-: Уточняю, когда его привезут.
-: Мне очень жаль, что так вышло.
-: Так, давайте по порядку.
-: Нет проблем, сейчас гляну.
-: Я хочу убедиться, что правильно вас понял.
-: Это зависит от вашего тарифа.
-: Попробую объяснить попроще.
-: Вы могли бы повторить вопрос?
-: Не переживайте, разберёмся.
-: Буду рад помочь вам с этим вопросом.
[mixed]
answer: **Yes**, that works.
answer: Okay，可以的。
amount: Ваш тариф Premium стоит $20.
date: 我们 Friday 见。
promise: OK, мы вернём деньги.
done: 您的 order 已经取消了。
amount: 价格是２０元。
-: OK，我看一下。
-: Окей, сейчас посмотрю ваш account.
-: 让我查一下您的 iPhone。
-: Let me check «Мой тариф» for you.
-: _Hmm…_ let me see.
"""
_HELD_OUT = """
[en]
amount: That plan is thirty-five a month.
amount: You still owe us a little over $200.
amount: We can knock a quarter off the price.
amount: Shipping is complimentary for members.
amount: There's just one seat left on that flight.
date: The office is closed on weekends.
date: You should have it by Friday at the latest.
date: The sale ends at midnight.
date: Check-in starts in the afternoon, around three.
date: Refunds normally take a week.
date: The last payment went out in September.
promise: I'll have somebody call you back.
promise: We are going to replace the unit.
promise: I promise this won't happen again.
promise: You will receive a confirmation email.
promise: I'm sending you the form as we speak.
promise: Let's get you booked onto another flight.
promise: I can waive that fee for you.
answer: Yep, it works with both systems.
answer: Absolutely, pets are welcome.
answer: That's correct.
answer: I'm sorry, but we are unable to do that.
answer: You can't use it abroad.
answer: Of course!
answer: Well, yes and no.
done: Done!
done: I just reset your password.
done: The payment went through.
done: Your claim was approved.
-: Ah, I see what you mean.
-: Okay, let me pull that up.
-: Hang on just one second.
-: Thanks for calling, let me see how I can help.
-: I'm sorry you had to wait.
-: That's a fair point, let me have a closer look.
-: I'd like to understand the problem a bit better.
-: Absolutely, I'll take a look right away.
-: Let me walk you through how this works.
-: Which of the accounts do you mean?
-: Sorry about the trouble, I'm on it.
-: Let me verify a few details first.
-: I hear you, and I want to get this sorted.
-: No worries at all, take your time.
-: It depends on a number of things.
-: Great, thank you for that information.
-: I don't want to guess, so let me check.
-: What seems to be the problem with the router?
-: I'll need to look at your account for that.
-: Let me just see whether it has been shipped.
-: So you're asking about the cancellation fee.
-: Interesting, give me a moment to go through it.
-: Would you mind spelling your last name for me?
-: I'll be right with you.
-: Let me get the latest information on that.
-: Oh no, that sounds really annoying.
-: I'm not sure yet, I'm reading through the terms.
[zh]
amount: 总共一百二十块。
amount: 可以给您打八折。
amount: 您的余额不足10元。
amount: 押金是房费的两倍。
amount: 儿童票半价。
date: 我们早上九点开门。
date: 最晚星期五到。
date: 大约半个小时以后出发。
date: 退款一般三天内到账。
date: 国庆期间不营业。
date: 师傅今天晚上过去。
promise: 我们一定尽快给您答复。
promise: 我来为您办理退货。
promise: 到时候会通知您的。
promise: 我给您补发一个新的。
promise: 这笔费用由我们承担，包您满意。
promise: 快递员会打电话给您。
answer: 没错，就是这样。
answer: 能的，带身份证就可以。
answer: 不可以，宠物不能进店。
answer: 很遗憾，这个航班不能改签。
answer: 有的，我们提供早餐。
answer: 不用，这个是自动的。
answer: 嗯，是的。
done: 搞定了。
done: 我已经给您发过去了。
done: 密码重置完成。
done: 已为您登记。
done: 您的申请通过了。
-: 好的，我明白您的意思了。
-: 我查查看。
-: 关于这个问题，我需要核实一下。
-: 您好，很高兴为您服务。
-: 您别急，我正在看您的记录。
-: 抱歉让您久等了。
-: 麻烦您说一下手机号后面的数字，好吗？
-: 我去问一下同事。
-: 这个问题有点复杂，让我想一想。
-: 我帮您找找有没有合适的方案。
-: 了解，您说的是宽带的问题。
-: 给我一点时间查一下资料。
-: 谢谢您告诉我这些。
-: 听起来确实挺麻烦的。
-: 请问您方便提供一下姓名吗？
-: 我们先来看看费用是怎么算的。
-: 我再跟您确认一下细节。
-: 您想咨询的是哪一种业务呢？
-: 我看看能不能帮您处理。
-: 我理解，换成谁都会着急的。
-: 嗯嗯，我在听。
-: 晚上好，请讲。
-: 让我先了解一下情况，再来回答您。
-: 一般来说，这跟套餐有关。
-: 收到，我看一眼系统。
-: 那我们一步一步来看。
-: 您可以再说一遍吗？
[ru]
amount: Это обойдётся вам в полторы тысячи.
amount: Весит он килограмма три.
amount: На счёте у вас меньше ста рублей.
amount: Это в два раза дешевле.
amount: Штраф равен четверти стоимости.
date: Мастер будет у вас сегодня вечером.
date: По выходным мы не работаем.
date: Деньги вернутся в течение недели.
date: Вылет в понедельник утром.
date: Запись открыта с декабря.
date: Это займёт около часа.
promise: Я пришлю вам договор на почту.
promise: Мы обязательно всё исправим.
promise: Вам перезвонят.
promise: Сейчас всё оформлю.
promise: Курьер заберёт посылку прямо из дома.
promise: Давайте я подключу вам другой тариф.
promise: Деньги поступят на вашу карту.
answer: Да, конечно.
answer: Верно, так и есть.
answer: Увы, это невозможно.
answer: Нет, паспорт не нужен.
answer: Безусловно, это разрешено.
answer: Ага, всё правильно.
done: Я отменил вашу подписку.
done: Заказ уже передан в доставку.
done: Пароль успешно сброшен.
done: Мы всё исправили.
done: Ваш платёж прошёл.
-: Так, минутку.
-: Понял вас, смотрю.
-: Хорошо, сейчас поищу.
-: Извините за ожидание.
-: Давайте я проверю, что там с заказом.
-: Спасибо, что позвонили нам.
-: Это хороший вопрос.
-: Мне жаль это слышать.
-: Какой у вас тариф?
-: Сейчас узнаю, есть ли он в наличии.
-: Подождите немного, пожалуйста.
-: Я постараюсь вам помочь.
-: Вы спрашиваете про возврат, правильно?
-: Скажите, как я могу к вам обращаться?
-: Ой, как неприятно.
-: Сейчас загляну в базу.
-: Для начала мне нужна ваша фамилия.
-: Доброе утро, чем могу быть полезна?
-: Я вас слышу хорошо.
-: Тут многое зависит от условий договора.
-: Уточните, пожалуйста, о каком договоре речь.
-: Ладно, давайте посмотрим вместе.
-: Не кладите трубку, я сверяюсь с системой.
-: Мне надо это перепроверить.
-: Вот что я вижу у себя на экране.
-: Понимаю ваше беспокойство, сейчас во всём разберёмся.
-: Расскажите, что именно случилось.
[mixed]
answer: Да, of course.
date: Доставка Monday, после обеда.
promise: 我们会 refund 给您。
done: OK, всё готово.
answer: ‘No’, I’m afraid.
promise: I’ll send it to you — no problem.
-: Hello，请稍等。
-: Let me look at your 订单.
-: Сейчас проверю Wi-Fi.
-: I’ll check — one moment…
-: 我帮您看一下 VIP 的规则。
-: *Один момент*, смотрю статус order.
"""

Labelled = tuple[str, str]  # what a sentence commits to, and the sentence


def _read(table: str) -> dict[str, list[Labelled]]:
    halves: dict[str, list[Labelled]] = {}
    for line in table.strip().splitlines():
        if line.startswith("["):
            rows = halves.setdefault(line.strip("[]"), [])
        else:
            kind, _, sentence = line.partition(": ")
            rows.append((kind, sentence))
    return halves


DEV = _read(_DEV)
HELD_OUT = _read(_HELD_OUT)
